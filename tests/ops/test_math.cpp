#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "ops/math.h"
#include "ops/synthetic.h"

namespace megalith {
namespace {

using testing::ulps;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Calls body with every `stride`-th float from `from` to `to` (both positive), and with its negative.
template <class Body>
void sweep(float from, float to, uint32_t stride, const Body& body) {
  for (uint32_t bits = std::bit_cast<uint32_t>(from); bits <= std::bit_cast<uint32_t>(to); bits += stride) {
    body(std::bit_cast<float>(bits));
    body(-std::bit_cast<float>(bits));
  }
}

TEST(ExpFloat, IsWithinOneUlpAllOverItsRange) {
  double worst = 0;
  sweep(0x1p-30F, 87.3F, 499, [&](float x) { worst = std::max(worst, ulps(exp_float(x), std::exp(double{x}))); });
  sweep(87.3F, 88.7F, 7, [&](float x) {
    if (x > 0) worst = std::max(worst, ulps(exp_float(x), std::exp(double{x})));
  });
  EXPECT_LE(worst, 1.0);
}

TEST(ExpFloat, SpecialValues) {
  EXPECT_EQ(exp_float(0.0F), 1.0F);
  EXPECT_EQ(exp_float(-0.0F), 1.0F);
  EXPECT_EQ(exp_float(kInfinity), kInfinity);
  EXPECT_EQ(exp_float(-kInfinity), 0.0F);
  EXPECT_FALSE(std::signbit(exp_float(-kInfinity)));
  EXPECT_TRUE(std::isnan(exp_float(kNan)));
  EXPECT_EQ(exp_float(88.71F), kInfinity);
  EXPECT_EQ(exp_float(-87.31F), 0.0F);
  EXPECT_GE(exp_float(-87.3F), std::numeric_limits<float>::min());
  EXPECT_LT(exp_float(88.7F), kInfinity);
}

TEST(ExpFloat, NeverExceedsOneForNonPositiveArguments) {
  sweep(0x1p-60F, 1.0F, 1009, [](float x) { ASSERT_LE(exp_float(-std::fabs(x)), 1.0F) << x; });
}

TEST(TanhFloat, IsWithinTwoUlps) {
  double worst = 0;
  sweep(0x1p-40F, 20.0F, 499, [&](float x) { worst = std::max(worst, ulps(tanh_float(x), std::tanh(double{x}))); });
  EXPECT_LE(worst, 2.0);
}

TEST(TanhFloat, SpecialValues) {
  EXPECT_EQ(tanh_float(0.0F), 0.0F);
  EXPECT_TRUE(std::signbit(tanh_float(-0.0F)));
  EXPECT_EQ(tanh_float(kInfinity), 1.0F);
  EXPECT_EQ(tanh_float(-kInfinity), -1.0F);
  EXPECT_EQ(tanh_float(50.0F), 1.0F);
  EXPECT_TRUE(std::isnan(tanh_float(kNan)));
}

TEST(SiluFloat, IsWithinThreeUlps) {
  double worst = 0;
  // Below -87 the denominator leaves the range of exp_float and the result is flushed to -0.
  sweep(0x1p-40F, 87.0F, 499,
        [&](float x) { worst = std::max(worst, ulps(silu_float(x), double{x} / (1.0 + std::exp(-double{x})))); });
  EXPECT_LE(worst, 3.0);
  EXPECT_EQ(silu_float(-100.0F), 0.0F);
  EXPECT_EQ(silu_float(100.0F), 100.0F);
  EXPECT_EQ(silu_float(0.0F), 0.0F);
}

TEST(GeluTanhFloat, FollowsItsFormula) {
  // The argument of exp carries five roundings, so e^argument is off by up to |argument| times those; 3 ulps more for
  // exp, the sum and the division.
  sweep(0x1p-40F, 10.0F, 499, [](float x) {
    const double u = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * double{x} * x * x);
    // 0.5 (1 + tanh u) = 1 / (1 + e^-2u), which does not cancel for negative u.
    const double exact = x / (1.0 + std::exp(-2.0 * u));
    const double bound = (3.0 + 5.0 * 2.0 * std::fabs(u)) * 0x1p-23 * std::fabs(exact) + 0x1p-149;
    ASSERT_LE(std::fabs(gelu_tanh_float(x) - exact), bound) << x;
  });
  EXPECT_EQ(gelu_tanh_float(0.0F), 0.0F);
  EXPECT_EQ(gelu_tanh_float(100.0F), 100.0F);
  EXPECT_EQ(gelu_tanh_float(-100.0F), 0.0F);
}

TEST(SinCos, RoundsADoubleResultOnce) {
  double worst = 0;
  sweep(0x1p-40F, 0x1.fffffep30F, 1009, [&](float x) {
    const SinCos result = sin_cos(x);
    worst = std::max({worst, ulps(result.sin, std::sin(double{x})), ulps(result.cos, std::cos(double{x}))});
  });
  EXPECT_LE(worst, 0.5001);
}

TEST(SinCos, NearMultiplesOfHalfPi) {
  double worst = 0;
  for (int64_t n = 1; n < 1'300'000'000; n += n / 1000 + 1) {
    const auto x = static_cast<float>(static_cast<double>(n) * (std::numbers::pi / 2));
    for (const float near : {std::nextafter(x, 0.0F), x, std::nextafter(x, kInfinity)}) {
      if (near >= 0x1p31F) continue;
      const SinCos result = sin_cos(near);
      worst = std::max({worst, ulps(result.sin, std::sin(double{near})), ulps(result.cos, std::cos(double{near}))});
    }
  }
  EXPECT_LE(worst, 0.5001);
}

TEST(SinCos, Zero) {
  EXPECT_EQ(sin_cos(0.0F).sin, 0.0F);
  EXPECT_EQ(sin_cos(0.0F).cos, 1.0F);
}

}  // namespace
}  // namespace megalith
