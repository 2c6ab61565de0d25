#pragma once
// Our own exp, tanh, sin and cos: libm's differ by CPU and version, these give the same bits everywhere. Each is a
// fixed sequence of IEEE operations with written-out fused multiply-adds, so vector versions can follow it lane by
// lane.

namespace megalith {

/// e^x, within 1 unit in the last place; 0 below -87.3, +inf above 88.7, NaN for NaN.
float exp_float(float x);
/// tanh(x), within 2 units in the last place, built on exp_float.
float tanh_float(float x);
/// x / (1 + e^-x), built on exp_float.
float silu_float(float x);
/// 0.5 x (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3), computed as x / (1 + e^-2u), which does not cancel.
float gelu_tanh_float(float x);
/// ln(1 + x) for 0 <= x <= 1 (the only range that softplus needs), computed in double and rounded once.
float log1p_float(float x);
/// sin and cos of an angle in radians, |angle| < 2^31, computed in double and rounded once.
struct SinCos {
  float sin, cos;
};
SinCos sin_cos(float angle);

}  // namespace megalith
