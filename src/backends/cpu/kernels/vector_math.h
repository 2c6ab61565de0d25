#pragma once
// Vector versions of ops/math.h, lane by lane the same operations. `S` is a set's float traits (isa/float_<set>.h):
//   V, kLanes, kTileRows, kTileVectors; load, store, load_half, store_half, set, zero, add, subtract, multiply, divide,
//   fma, negate, maximum, add_exponent, where_greater, where_not_less_equal, first_lanes, swap_pairs, reduce_maximum,
//   reduce_by_halves, all_finite.
#include <cstdint>

#include "ops/math_constants.h"

namespace megalith::cpu {

/// exp_float.
template <class S>
inline typename S::V exp_vector(typename S::V x) {
  using namespace math_constants;
  using V = typename S::V;
  const V shifted = S::fma(x, S::set(kLog2E), S::set(kRound));
  const V n = S::subtract(shifted, S::set(kRound));
  V r = S::fma(n, S::set(-kLn2High), x);
  r = S::fma(n, S::set(-kLn2Low), r);
  V p = S::set(kExp6);
  p = S::fma(p, r, S::set(kExp5));
  p = S::fma(p, r, S::set(kExp4));
  p = S::fma(p, r, S::set(kExp3));
  p = S::fma(p, r, S::set(kExp2));
  p = S::fma(p, r, S::set(1.0F));
  p = S::fma(p, r, S::set(1.0F));
  V y = S::add_exponent(p, shifted);
  y = S::where_greater(S::set(kExpLowest), x, S::zero(), y);
  // Above the range or NaN: x + infinity is what exp_float gives.
  return S::where_not_less_equal(x, S::set(kExpHighest), S::add(x, S::set(__builtin_inff())), y);
}

/// silu_float.
template <class S>
inline typename S::V silu_vector(typename S::V x) {
  return S::divide(x, S::add(S::set(1.0F), exp_vector<S>(S::negate(x))));
}

/// gelu_tanh_float.
template <class S>
inline typename S::V gelu_tanh_vector(typename S::V x) {
  using namespace math_constants;
  const typename S::V cubic = S::fma(S::set(kGeluCubic), S::multiply(x, x), S::set(1.0F));
  const typename S::V two_u = S::multiply(S::multiply(x, S::set(kGeluTwoRootTwoOverPi)), cubic);
  return S::divide(x, S::add(S::set(1.0F), exp_vector<S>(S::negate(two_u))));
}

}  // namespace megalith::cpu
