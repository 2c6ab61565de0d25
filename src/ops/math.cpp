#include "ops/math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "ops/math_constants.h"

namespace megalith {

using namespace math_constants;

float exp_float(float x) {
  if (x > kExpHighest) return std::numeric_limits<float>::infinity();
  if (x < kExpLowest) return 0.0F;
  if (x != x) return x;
  const float shifted = std::fma(x, kLog2E, kRound);
  const float n = shifted - kRound;
  float r = std::fma(n, -kLn2High, x);
  r = std::fma(n, -kLn2Low, r);
  float p = kExp6;
  p = std::fma(p, r, kExp5);
  p = std::fma(p, r, kExp4);
  p = std::fma(p, r, kExp3);
  p = std::fma(p, r, kExp2);
  p = std::fma(p, r, 1.0F);
  p = std::fma(p, r, 1.0F);
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - kRoundBits;
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + exponent * (1 << 23));
}

float tanh_float(float x) {
  // tanh(x) = x + x^3 (c0 + c1 x^2 + ...) near 0, where 1 - 2 / (e^2x + 1) would cancel.
  constexpr float kC0 = -0x1.555532p-2F, kC1 = 0x1.110726p-3F, kC2 = -0x1.b83c5cp-5F, kC3 = 0x1.52269ep-6F,
                  kC4 = -0x1.75e1dap-8F;
  const float magnitude = std::fabs(x);
  if (magnitude < 0.625F) {
    const float square = x * x;
    float p = kC4;
    p = std::fma(p, square, kC3);
    p = std::fma(p, square, kC2);
    p = std::fma(p, square, kC1);
    p = std::fma(p, square, kC0);
    return std::copysign(std::fma(p * square, magnitude, magnitude), x);
  }
  if (x != x) return x;
  const float result = 1.0F - 2.0F / (exp_float(2.0F * magnitude) + 1.0F);
  return std::copysign(result, x);
}

float silu_float(float x) { return x / (1.0F + exp_float(-x)); }

float gelu_tanh_float(float x) {
  const float two_u = (x * kGeluTwoRootTwoOverPi) * std::fma(kGeluCubic, x * x, 1.0F);
  return x / (1.0F + exp_float(-two_u));
}

float log1p_float(float x) {
  // ln(1 + x) = 2 atanh(z), z = x / (2 + x) <= 1/3: the first term left out is below 2^-56 of the result.
  const double z = static_cast<double>(x) / (2.0 + static_cast<double>(x));
  const double square = z * z;
  double p = 1.0 / 33.0;
  for (int odd = 31; odd >= 1; odd -= 2) p = std::fma(p, square, 1.0 / odd);
  return static_cast<float>(2.0 * z * p);
}

SinCos sin_cos(float angle) {
  // pi/2 in two doubles. With |n| < 2^31 the first fma leaves |r| + n 2^-54 rounded once, so even the float nearest to
  // a multiple of pi/2 keeps more correct bits than a float has.
  constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
  constexpr double kHalfPiHigh = 0x1.921fb54442d18p+0;
  constexpr double kHalfPiLow = 0x1.1a62633145c07p-54;
  constexpr double kRoundDouble = 6755399441055744.0;  // 1.5 * 2^52
  const double x = angle;
  const double shifted = x * kTwoOverPi + kRoundDouble;
  const double n = shifted - kRoundDouble;
  double r = std::fma(n, -kHalfPiHigh, x);
  r = std::fma(n, -kHalfPiLow, r);
  // Taylor series to r^15 and r^14: the first term left out is below 2^-50 for |r| <= pi/4.
  const double square = r * r;
  double s = -1.0 / 1307674368000.0;
  s = std::fma(s, square, 1.0 / 6227020800.0);
  s = std::fma(s, square, -1.0 / 39916800.0);
  s = std::fma(s, square, 1.0 / 362880.0);
  s = std::fma(s, square, -1.0 / 5040.0);
  s = std::fma(s, square, 1.0 / 120.0);
  s = std::fma(s, square, -1.0 / 6.0);
  s = std::fma(s * square, r, r);
  double c = -1.0 / 87178291200.0;
  c = std::fma(c, square, 1.0 / 479001600.0);
  c = std::fma(c, square, -1.0 / 3628800.0);
  c = std::fma(c, square, 1.0 / 40320.0);
  c = std::fma(c, square, -1.0 / 720.0);
  c = std::fma(c, square, 1.0 / 24.0);
  c = std::fma(c, square, -0.5);
  c = std::fma(c, square, 1.0);
  switch (std::bit_cast<uint64_t>(shifted) & 3) {
    case 0:
      return {static_cast<float>(s), static_cast<float>(c)};
    case 1:
      return {static_cast<float>(c), static_cast<float>(-s)};
    case 2:
      return {static_cast<float>(-s), static_cast<float>(-c)};
    default:
      return {static_cast<float>(-c), static_cast<float>(s)};
  }
}

}  // namespace megalith
