#pragma once
// The constants of math.h's functions, shared with the vector versions that follow them lane by lane. The polynomials
// are our own least-maximum fits of the relative error (weighted least squares on a Chebyshev grid, reweighted until
// the error is level), rounded to float32.
#include <cstdint>

namespace megalith::math_constants {

// exp: x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 (c2 + c3 r + ... + c6 r^4), error 0.03 units in the last
// place before rounding; then n is added to the exponent.
inline constexpr float kExpLowest = -87.3F;  // below: 0, so that no result is denormal
inline constexpr float kExpHighest = 88.7F;  // above: infinity
inline constexpr float kLog2E = 0x1.715476p+0F;
inline constexpr float kLn2High = 0x1.62e4p-1F;  // 14 bits, so that n * kLn2High is exact
inline constexpr float kLn2Low = 0x1.7f7d1cp-20F;
inline constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, ties to even
inline constexpr int32_t kRoundBits = 0x4B400000;
inline constexpr float kExp2 = 0x1.fffffcp-2F;
inline constexpr float kExp3 = 0x1.55549p-3F;
inline constexpr float kExp4 = 0x1.5558f4p-5F;
inline constexpr float kExp5 = 0x1.123a6cp-7F;
inline constexpr float kExp6 = 0x1.6a2352p-10F;

// GELU in its tanh form: x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3).
inline constexpr float kGeluTwoRootTwoOverPi = 0x1.988454p+0F;  // 2 sqrt(2/pi)
inline constexpr float kGeluCubic = 0.044715F;

}  // namespace megalith::math_constants
