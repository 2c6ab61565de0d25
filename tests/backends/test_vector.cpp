// Norms and elementwise kernels of every instruction set against ops/math.h and docs/numerics.md, bit for bit.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "available.h"
#include "base/half.h"
#include "ops/math.h"
#include "ops/reference_arithmetic.h"
#include "ops/synthetic.h"

namespace megalith::cpu {
namespace {

using testing::Random;

bool same_bits(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }
bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

class VectorKernelsTest : public ::testing::TestWithParam<const KernelTable*> {
 protected:
  const VectorKernels& kernels() const { return GetParam()->vector; }
};

INSTANTIATE_TEST_SUITE_P(Sets, VectorKernelsTest, ::testing::ValuesIn(available_tables()), TableName());

/// Floats of all magnitudes and the special ones.
std::vector<float> many_floats() {
  std::vector<float> values;
  for (uint64_t bits = 0; bits <= 0xFFFFFFFF; bits += 65'521) {
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  for (float x = -100.0F; x < 100.0F; x += 0.0137F) values.push_back(x);
  for (const float special : {0.0F, 1.0F, 87.3F, 88.7F, 88.8F, std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()}) {
    values.push_back(special);
    values.push_back(-special);
    values.push_back(std::nextafter(special, 0.0F));
  }
  return values;
}

TEST_P(VectorKernelsTest, ActivationsFollowTheScalarFunctions) {
  const std::vector<float> gates = many_floats();
  const std::vector<float> ups = Random(1).vector(gates.size(), 2.0F);
  std::vector<float> silu = gates;
  std::vector<float> gelu = gates;
  const auto n = static_cast<int64_t>(gates.size());
  kernels().silu_gated(silu.data(), ups.data(), n);
  kernels().gelu_tanh_gated(gelu.data(), ups.data(), n);
  for (size_t i = 0; i < gates.size(); ++i) {
    const float expected_silu = silu_float(gates[i]) * ups[i];
    const float expected_gelu = gelu_tanh_float(gates[i]) * ups[i];
    // The bits of a NaN are nobody's promise.
    ASSERT_TRUE(std::isnan(expected_silu) ? std::isnan(silu[i]) : same_bits(silu[i], expected_silu)) << gates[i];
    ASSERT_TRUE(std::isnan(expected_gelu) ? std::isnan(gelu[i]) : same_bits(gelu[i], expected_gelu)) << gates[i];
  }
}

TEST_P(VectorKernelsTest, AddsAndActivatesAnyLength) {
  for (size_t n = 1; n < 70; ++n) {
    Random random(n);
    const std::vector<float> a = random.vector(n, 3.0F);
    const std::vector<float> b = random.vector(n, 3.0F);
    std::vector<float> sum = a;
    std::vector<float> gated = a;
    std::vector<float> expected_sum(n);
    std::vector<float> expected_gated(n);
    for (size_t i = 0; i < n; ++i) {
      expected_sum[i] = a[i] + b[i];
      expected_gated[i] = silu_float(a[i]) * b[i];
    }
    kernels().add(sum.data(), b.data(), static_cast<int64_t>(n));
    kernels().silu_gated(gated.data(), b.data(), static_cast<int64_t>(n));
    EXPECT_TRUE(same_bits(sum, expected_sum)) << n;
    EXPECT_TRUE(same_bits(gated, expected_gated)) << n;
  }
}

TEST_P(VectorKernelsTest, RmsNorm) {
  const auto reference = reference::make_contract_arithmetic();
  for (const size_t width : {1, 7, 16, 31, 32, 33, 64, 80, 100, 576, 1000, 4096}) {
    Random random(width);
    const std::vector<float> x = random.vector(3 * width, 5.0F);
    const std::vector<float> gain = random.vector(width, 2.0F);
    std::vector<float> out(x.size());
    std::vector<float> expected(x.size());
    for (size_t g = 0; g < 3; ++g) {
      reference->rms_norm(std::span(x).subspan(g * width, width), gain, 1e-6F,
                          std::span(expected).subspan(g * width, width));
    }
    kernels().rms_norm({.x = x.data(),
                        .gain = gain.data(),
                        .out = out.data(),
                        .n_groups = 3,
                        .width = static_cast<int64_t>(width),
                        .epsilon = 1e-6F});
    EXPECT_TRUE(same_bits(out, expected)) << width;
  }
}

TEST_P(VectorKernelsTest, Rotation) {
  const auto reference = reference::make_contract_arithmetic();
  for (const int32_t n_pairs : {1, 4, 8, 16, 20, 32, 48, 64}) {
    const int32_t head_width = 2 * n_pairs + 5;
    Random random(static_cast<uint64_t>(n_pairs));
    const std::vector<float> x = random.vector(static_cast<size_t>(3 * head_width), 2.0F);
    const std::vector<float> angles = random.vector(static_cast<size_t>(n_pairs), 1000.0F);
    std::vector<float> cosine(angles.size());
    std::vector<float> sine(angles.size());
    std::vector<float> cosine_twice(2 * angles.size());
    std::vector<float> sine_twice(2 * angles.size());
    for (size_t i = 0; i < angles.size(); ++i) {
      const SinCos exact = sin_cos(angles[i]);
      cosine[i] = cosine_twice[2 * i] = cosine_twice[2 * i + 1] = exact.cos * 1.1F;
      sine[i] = sine_twice[2 * i + 1] = exact.sin * 1.1F;
      sine_twice[2 * i] = -sine[i];
    }
    std::vector<float> halves = x;
    std::vector<float> interleaved = x;
    std::vector<float> expected_halves = x;
    std::vector<float> expected_interleaved = x;
    for (int32_t h = 0; h < 3; ++h) {
      for (int32_t i = 0; i < n_pairs; ++i) {
        float* head = &expected_halves[static_cast<size_t>(h * head_width)];
        reference->rotate(angles[static_cast<size_t>(i)], 1.1F, head[i], head[i + n_pairs]);
        head = &expected_interleaved[static_cast<size_t>(h * head_width)];
        reference->rotate(angles[static_cast<size_t>(i)], 1.1F, head[2 * i], head[2 * i + 1]);
      }
    }
    RotateTask task{.x = halves.data(),
                    .cosine = cosine.data(),
                    .sine = sine.data(),
                    .n_heads = 3,
                    .head_width = head_width,
                    .n_pairs = n_pairs};
    kernels().rotate_halves(task);
    task.x = interleaved.data();
    task.cosine = cosine_twice.data();
    task.sine = sine_twice.data();
    kernels().rotate_interleaved(task);
    EXPECT_TRUE(same_bits(halves, expected_halves)) << n_pairs;
    EXPECT_TRUE(same_bits(interleaved, expected_interleaved)) << n_pairs;
  }
}

TEST_P(VectorKernelsTest, HalvesRoundAsHalfDoes) {
  std::vector<float> values = many_floats();
  std::erase_if(values, [](float x) { return std::isnan(x); });
  for (uint32_t half = 0; half < 0x7C00; ++half) {  // each half and the middles between them
    const float low = half_to_float(static_cast<uint16_t>(half));
    const float high = half + 1 < 0x7C00 ? half_to_float(static_cast<uint16_t>(half + 1)) : 65536.0F;
    values.insert(values.end(), {low, (low + high) / 2, -(low + high) / 2, std::nextafter((low + high) / 2, 0.0F)});
  }
  std::vector<uint16_t> halves(values.size());
  kernels().to_half(values.data(), halves.data(), static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(halves[i], float_to_half(values[i])) << values[i];
}

TEST_P(VectorKernelsTest, FindsWhatIsNotFinite) {
  for (int64_t n = 1; n < 40; ++n) {
    std::vector<float> values(static_cast<size_t>(n), std::numeric_limits<float>::max());
    EXPECT_TRUE(kernels().all_finite(values.data(), n));
    for (int64_t i = 0; i < n; ++i) {
      for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity()}) {
        values[static_cast<size_t>(i)] = bad;
        EXPECT_FALSE(kernels().all_finite(values.data(), n)) << n << " " << i;
      }
      values[static_cast<size_t>(i)] = -1.0F;
    }
  }
}

}  // namespace
}  // namespace megalith::cpu
