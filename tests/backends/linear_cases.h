#pragma once
// Weights and expected products for the tests of matmul kernels. Nothing here shares code with the kernels: the
// expected values come from docs/numerics.md in plain loops over the scalar codecs.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <iostream>
#include <random>
#include <set>
#include <vector>

#include "backends/cpu/kernel_table.h"
#include "backends/cpu/linear.h"
#include "base/half.h"

namespace megalith::cpu {

/// Which bit patterns a test weight has.
enum class WeightKind { kUsual, kDenormalScales, kSaturated };

struct TestWeight {
  std::vector<std::byte> bytes;  // exactly as long as the weight, so that ASan sees any read past it
  WeightView view;

  TestWeight(Format format, int64_t rows, int64_t columns) {
    const FormatInfo& info = format_info(format);
    bytes.resize(rows * (columns / info.block_weights) * info.block_bytes);
    view.format = format;
    view.rows = rows;
    view.columns = columns;
    view.planes[0] = bytes;
  }
  // The first rows of a larger one, in a buffer of their own.
  TestWeight(const TestWeight& source, int64_t rows) : TestWeight(source.view.format, rows, source.view.columns) {
    std::memcpy(bytes.data(), source.bytes.data(), bytes.size());
  }
  TestWeight(const TestWeight&) = delete;
  TestWeight& operator=(const TestWeight&) = delete;
};

/// Where the halves of a block lie; all its other bytes may have any value.
inline std::vector<int> half_offsets(Format format) {
  switch (format) {
    case Format::kQ4_0:
    case Format::kQ5_0:
    case Format::kQ8_0:
    case Format::kIQ4_NL:
    case Format::kIQ4_XS:
      return {0};
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ4_K:
    case Format::kQ5_K:
      return {0, 2};
    case Format::kQ6_K:
      return {208};
    case Format::kQ2_K:
      return {80, 82};
    case Format::kQ3_K:
      return {108};
    default:
      return {};
  }
}

/// How many leading bytes of a block are 8-bit float scales: E8M0 in MXFP4, E4M3 in NVFP4.
inline int n_byte_scales(Format format) { return format == Format::kMXFP4 ? 1 : format == Format::kNVFP4 ? 4 : 0; }

/// Usual: 2^-8 ... 1/2. Denormal: E8M0 bytes whose products with small codes are denormal floats; E4M3's own, and 0.
inline std::byte byte_scale(Format format, WeightKind kind, std::mt19937& random) {
  const bool denormal = kind == WeightKind::kDenormalScales;
  if (format == Format::kMXFP4) return static_cast<std::byte>(denormal ? random() % 3 : 120 + random() % 8);
  return static_cast<std::byte>(denormal ? random() % 8 : 0x04 + random() % 0x35);
}

inline void put_half(std::byte* at, uint16_t bits) { std::memcpy(at, &bits, sizeof bits); }

inline void fill_block(std::byte* block, const FormatInfo& info, WeightKind kind, std::mt19937& random) {
  for (int i = 0; i < info.block_bytes; ++i) block[i] = static_cast<std::byte>(random());
  if (kind == WeightKind::kSaturated) {
    // All codes at one end: 255, or -128 for signed ones, or 127.
    const std::byte all = std::array{std::byte{0xFF}, std::byte{0x80}, std::byte{0x7F}}[random() % 3];
    std::memset(block, static_cast<int>(all), info.block_bytes);
  }
  for (const int offset : half_offsets(info.format)) {
    const auto sign = static_cast<uint16_t>((random() & 1) << 15);
    const auto denormal = static_cast<uint16_t>(random() % 0x400);
    const auto usual = static_cast<uint16_t>(0x2000 + random() % 0x1C00);  // 2^-7 ... 1
    put_half(block + offset, sign | (kind == WeightKind::kDenormalScales ? denormal : usual));
  }
  for (int i = 0; i < n_byte_scales(info.format); ++i) block[i] = byte_scale(info.format, kind, random);
}

inline void fill(TestWeight& weight, WeightKind kind, uint32_t seed) {
  std::mt19937 random(seed);
  const FormatInfo& info = format_info(weight.view.format);
  if (info.quantised()) {
    ASSERT_FALSE(half_offsets(info.format).empty() && n_byte_scales(info.format) == 0)
        << info.name << ": add its scales to half_offsets or n_byte_scales";
    for (size_t at = 0; at < weight.bytes.size(); at += info.block_bytes) {
      fill_block(weight.bytes.data() + at, info, kind, random);
    }
    return;
  }
  std::vector<float> values(weight.view.rows * weight.view.columns);
  std::normal_distribution<float> normal;
  const float size = kind == WeightKind::kDenormalScales ? 1e-6F : kind == WeightKind::kSaturated ? 6e4F : 1.0F;
  for (float& value : values) value = std::clamp(normal(random) * size, -6.5e4F, 6.5e4F);
  info.encode(values, weight.bytes);
}

inline std::vector<float> random_rows(int64_t rows, int64_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * columns);
  for (float& value : values) value = normal(random);
  return values;
}

struct QuantisedGroup {
  int codes[32];
  float scale;
};

inline QuantisedGroup quantise_group(const float* x) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::fmax(largest, std::fabs(x[i]));
  QuantisedGroup group{};
  if (largest == 0 || std::isinf(127.0F / largest)) return group;
  const float inverse = 127.0F / largest;
  group.scale = largest / 127.0F;
  for (int i = 0; i < 32; ++i) group.codes[i] = static_cast<int>(std::rint(x[i] * inverse));
  return group;
}

inline float expected_quantised(const FormatInfo& info, const WeightView& weight, int64_t row,
                                const std::vector<QuantisedGroup>& x) {
  float sum = 0;
  for (int64_t g = 0; g < weight.columns / 32; ++g) {
    const GroupTerms terms = info.terms(weight, row, g);
    int first = 0, last = 0, first_x = 0, last_x = 0;
    for (int i = 0; i < 16; ++i) {
      first += terms.codes[i] * x[g].codes[i];
      last += terms.codes[i + 16] * x[g].codes[i + 16];
      first_x += x[g].codes[i];
      last_x += x[g].codes[i + 16];
    }
    if (info.has_two_scales) {
      sum = std::fma(terms.scales[0] * x[g].scale, static_cast<float>(first), sum);
      sum = std::fma(terms.scales[1] * x[g].scale, static_cast<float>(last), sum);
    } else {
      sum = std::fma(terms.scales[0] * x[g].scale, static_cast<float>(first + last), sum);
    }
    if (info.has_offset) {
      const int offset_sum = terms.offset_codes[0] * first_x + terms.offset_codes[1] * last_x;
      sum = std::fma(-terms.offset, x[g].scale * static_cast<float>(offset_sum), sum);
    }
  }
  return sum;
}

inline float expected_float(const std::vector<float>& weights, const float* x) {
  float sums[32] = {};
  for (size_t k = 0; k < weights.size(); ++k) sums[k % 32] = std::fma(weights[k], x[k], sums[k % 32]);
  for (int j = 0; j < 16; ++j) sums[j] = sums[j] + sums[j + 16];
  for (int j = 0; j < 8; ++j) sums[j] = sums[j] + sums[j + 8];
  for (int j = 0; j < 4; ++j) sums[j] = sums[j] + sums[j + 4];
  for (int j = 0; j < 2; ++j) sums[j] = sums[j] + sums[j + 2];
  return sums[0] + sums[1];
}

/// [tokens, weight.rows]
inline std::vector<float> expected_products(const WeightView& weight, const std::vector<float>& x, int64_t tokens) {
  const FormatInfo& info = format_info(weight.format);
  std::vector<float> expected(tokens * weight.rows);
  for (int64_t token = 0; token < tokens; ++token) {
    std::vector<QuantisedGroup> groups;
    for (int64_t g = 0; info.quantised() && g < weight.columns / 32; ++g) {
      groups.push_back(quantise_group(&x[token * weight.columns + g * 32]));
    }
    for (int64_t row = 0; row < weight.rows; ++row) {
      float& value = expected[token * weight.rows + row];
      if (info.quantised()) {
        value = expected_quantised(info, weight, row, groups);
      } else {
        std::vector<float> weights(weight.columns);
        info.decode(weight, row, 0, weights);
        value = expected_float(weights, &x[token * weight.columns]);
      }
    }
  }
  return expected;
}

/// The tables this machine can run; prints the others once.
inline std::vector<const KernelTable*> usable_tables() {
  static const std::vector<const KernelTable*> tables = [] {
    const Machine machine = probe_machine();
    std::vector<const KernelTable*> usable;
    for (const KernelTable* table : kernel_tables()) {
      if (std::ranges::find(machine.instruction_sets, table->instruction_set) != machine.instruction_sets.end()) {
        usable.push_back(table);
      } else {
        std::cout << "skipped: this machine has no " << name(table->instruction_set) << "\n";
      }
    }
    return usable;
  }();
  return tables;
}

/// Counts outputs whose bits differ, comparing `rows` of `expected` rows.
inline int64_t differing(const std::vector<float>& got, int64_t got_stride, const std::vector<float>& expected,
                         int64_t expected_stride, int64_t tokens, int64_t rows) {
  int64_t count = 0;
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t row = 0; row < rows; ++row) {
      count += std::memcmp(&got[token * got_stride + row], &expected[token * expected_stride + row], 4) != 0;
    }
  }
  return count;
}

}  // namespace megalith::cpu
