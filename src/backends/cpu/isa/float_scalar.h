#pragma once
// Float traits (kernels/vector_math.h) in plain C++: eight lanes, so that the templates keep their shape.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "ops/math_constants.h"

namespace megalith::cpu {
namespace {

struct FloatScalar {
  static constexpr int kLanes = 8;
  static constexpr int kTileRows = 2;
  static constexpr int kTileVectors = 1;
  struct V {
    float lane[kLanes];
  };

  template <class Op>
  static V make(Op op) {
    V v;
    for (int i = 0; i < kLanes; ++i) v.lane[i] = op(i);
    return v;
  }
  static V load(const float* p) {
    return make([&](int i) { return p[i]; });
  }
  static void store(float* p, V v) { std::memcpy(p, v.lane, sizeof(v.lane)); }
  static V load_half(const uint16_t* p) {
    return make([&](int i) { return half_to_float(p[i]); });
  }
  static float half_value(uint16_t half) { return half_to_float(half); }
  static void store_half(uint16_t* p, V v) {
    for (int i = 0; i < kLanes; ++i) p[i] = float_to_half(v.lane[i]);
  }
  static V set(float x) {
    return make([&](int) { return x; });
  }
  static V zero() { return set(0.0F); }
  static V add(V a, V b) {
    return make([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static V subtract(V a, V b) {
    return make([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static V multiply(V a, V b) {
    return make([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static V divide(V a, V b) {
    return make([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static V fma(V a, V b, V c) {
    return make([&](int i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
  }
  static V negate(V a) {
    return make([&](int i) { return -a.lane[i]; });
  }
  static V maximum(V a, V b) {
    return make([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  /// p * 2^n, where `shifted` is n + kRound.
  static V add_exponent(V p, V shifted) {
    return make([&](int i) {
      const uint32_t exponent = std::bit_cast<uint32_t>(shifted.lane[i]) << 23;  // kRound's own bits fall out
      return std::bit_cast<float>(std::bit_cast<uint32_t>(p.lane[i]) + exponent);
    });
  }
  /// a > b ? yes : no.
  static V where_greater(V a, V b, V yes, V no) {
    return make([&](int i) { return a.lane[i] > b.lane[i] ? yes.lane[i] : no.lane[i]; });
  }
  /// !(a <= b) ? yes : no, so that a NaN says yes.
  static V where_not_less_equal(V a, V b, V yes, V no) {
    return make([&](int i) { return !(a.lane[i] <= b.lane[i]) ? yes.lane[i] : no.lane[i]; });
  }
  /// Lanes below `count` from `v`, the others `other`.
  static V first_lanes(V v, int count, V other) {
    return make([&](int i) { return i < count ? v.lane[i] : other.lane[i]; });
  }
  /// Lanes 1, 0, 3, 2, ...
  static V swap_pairs(V a) {
    return make([&](int i) { return a.lane[i ^ 1]; });
  }
  static float reduce_maximum(V v) {
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) v.lane[i] = v.lane[i] > v.lane[i + half] ? v.lane[i] : v.lane[i + half];
    }
    return v.lane[0];
  }
  /// lane[i] + lane[i + n / 2], n = kLanes, ..., 2.
  static float reduce_by_halves(V v) {
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) v.lane[i] = v.lane[i] + v.lane[i + half];
    }
    return v.lane[0];
  }
  static bool all_finite(V v) {
    bool finite = true;
    for (const float x : v.lane) finite &= std::fabs(x) <= std::numeric_limits<float>::max();
    return finite;
  }
};

}  // namespace
}  // namespace megalith::cpu
