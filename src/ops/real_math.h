#pragma once
// Two kinds of arithmetic for formulas that are written once: the contract's (float32, docs/numerics.md) and exact
// double.
#include <cmath>

#include "ops/math.h"

namespace megalith {

struct ContractMath {
  using Real = float;
  static float exp(float x) { return exp_float(x); }
  static float log1p(float x) { return log1p_float(x); }
  static float fma(float a, float b, float c) { return std::fma(a, b, c); }
  static float sqrt(float x) { return std::sqrt(x); }
};

struct ExactMath {
  using Real = double;
  static double exp(double x) { return std::exp(x); }
  static double log1p(double x) { return std::log1p(x); }
  static double fma(double a, double b, double c) { return a * b + c; }
  static double sqrt(double x) { return std::sqrt(x); }
};

template <class Math>
typename Math::Real sigmoid(typename Math::Real x) {
  using Real = typename Math::Real;
  return Real{1} / (Real{1} + Math::exp(-x));
}

/// ln(1 + e^x), as max(x, 0) + log1p(e^-|x|).
template <class Math>
typename Math::Real softplus(typename Math::Real x) {
  using Real = typename Math::Real;
  const Real rest = Math::log1p(Math::exp(x > Real{0} ? -x : x));
  return x > Real{0} ? x + rest : rest;
}

/// gpt-oss: g = min(gate, 7), u = clamp(up, -7, 7): g / (1 + exp(-1.702 g)) * (u + 1).
template <class Math>
typename Math::Real clamped_swiglu(typename Math::Real gate, typename Math::Real up) {
  using Real = typename Math::Real;
  constexpr Real kLimit = 7;
  constexpr Real kAlpha = static_cast<Real>(1.702);
  const Real g = gate > kLimit ? kLimit : gate;
  const Real u = up > kLimit ? kLimit : (up < -kLimit ? -kLimit : up);
  return (g / (Real{1} + Math::exp(-(kAlpha * g)))) * (u + Real{1});
}

}  // namespace megalith
