#pragma once
// Weights and expected products for the tests of matmul kernels. Nothing here shares code with the kernels: the
// expected values come from docs/numerics.md in plain loops over the scalar codecs.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
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
  std::array<std::vector<std::byte>, kMaxPlanes> planes;  // exactly as long as they must be: ASan sees reads past them
  std::vector<int32_t> column_order;
  WeightView view;

  /// What a file decides (group, scale format, zero points, act-order) varies with the width.
  TestWeight(Format format, int64_t rows, int64_t columns) {
    const FormatInfo& info = format_info(format);
    view.format = format;
    view.rows = rows;
    view.columns = columns;
    const int64_t n_groups = columns / GroupTerms::kSize;
    if (info.planes > 1) {
      view.group = std::array{64, 128, 32}[n_groups % 3];
      view.scale_format = std::array{Format::kF16, Format::kBF16, Format::kF32}[n_groups / 2 % 3];
      view.zero_point_shift = n_groups % 2 == 1 ? 1 : 0;
    }
    for (int plane = 0; plane < info.planes; ++plane) {
      const bool is_group_index = plane == kMaxPlanes - 1;
      if (is_group_index && n_groups % 4 == 1) continue;
      planes[plane].resize(plane_bytes(view, plane));
      view.planes[plane] = planes[plane];
    }
    if (!planes[kMaxPlanes - 1].empty()) set_group_index(static_cast<uint32_t>(columns));
  }
  /// The first rows of a larger one, in buffers of their own.
  TestWeight(const TestWeight& source, int64_t rows) : TestWeight(source.view.format, rows, source.view.columns) {
    for (size_t plane = 0; plane < kMaxPlanes; ++plane) {
      // Formats contiguous along N keep each line of all rows together.
      const bool is_cut_in_lines = format_info(view.format).axis == ContiguousAxis::kN && plane != kMaxPlanes - 1;
      const int64_t lines = is_cut_in_lines ? lines_of(static_cast<int>(plane)) : 1;
      const size_t length = planes[plane].size() / lines;
      for (int64_t line = 0; line < lines && length > 0; ++line) {
        std::memcpy(&planes[plane][line * length], &source.planes[plane][line * (source.planes[plane].size() / lines)],
                    length);
      }
    }
  }
  TestWeight(const TestWeight&) = delete;
  TestWeight& operator=(const TestWeight&) = delete;

  /// Act-order: the columns of a group lie anywhere.
  void set_group_index(uint32_t seed) {
    std::vector<int32_t> groups(view.columns);
    for (int64_t k = 0; k < view.columns; ++k) groups[k] = static_cast<int32_t>(k / view.group);
    std::shuffle(groups.begin(), groups.end(), std::mt19937(seed));
    std::memcpy(planes[kMaxPlanes - 1].data(), groups.data(), planes[kMaxPlanes - 1].size());
    column_order = column_order_of(view);
    view.column_order = column_order;
  }

 private:
  int64_t lines_of(int plane) const {
    if (plane != 0) return (view.columns + view.group - 1) / view.group;
    return view.format == Format::kAwq4 ? view.columns : view.columns / (view.format == Format::kGptq4 ? 8 : 4);
  }
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

/// A float scale of either sign, as a plane of `format` holds it.
inline void put_scale(std::byte* at, Format format, WeightKind kind, std::mt19937& random) {
  const auto sign = static_cast<uint32_t>(random() & 1) << 31;
  // Usual: 2^-8 ... 1/2. Denormal: in the plane's type, but for BF16, whose denormals F32 has too.
  const auto usual = static_cast<uint32_t>((119U << 23) + random() % (7U << 23));
  if (format == Format::kF16) {
    const float value = std::bit_cast<float>(usual | sign);
    const auto denormal = static_cast<uint16_t>(random() % 0x400 | sign >> 16);
    return put_half(at, kind == WeightKind::kDenormalScales ? denormal : float_to_half(value));
  }
  const auto denormal = static_cast<uint32_t>(random() % 0x800000U);
  const uint32_t bits = (kind == WeightKind::kDenormalScales ? denormal : usual) | sign;
  if (format == Format::kBF16) return put_half(at, static_cast<uint16_t>(bits >> 16));
  std::memcpy(at, &bits, sizeof bits);
}

/// Any codes and zero points, and scales of the wanted kind; the group index stays.
inline void fill_planes(TestWeight& weight, const FormatInfo& info, WeightKind kind, std::mt19937& random) {
  const size_t scale_bytes = weight.view.scale_format == Format::kF32 ? 4 : 2;
  for (int p = 0; p < std::min(info.planes, kMaxPlanes - 1); ++p) {
    std::vector<std::byte>& plane = weight.planes[p];
    const bool has_float_scales = info.plane_info[p].dtype.empty();
    for (size_t at = 0; has_float_scales && at < plane.size(); at += scale_bytes) {
      put_scale(&plane[at], weight.view.scale_format, kind, random);
    }
    if (has_float_scales) continue;
    const auto end = static_cast<std::byte>(random() % 2 == 0 ? 0xFF : 0);
    for (std::byte& byte : plane) {
      byte = kind == WeightKind::kSaturated ? end : static_cast<std::byte>(random());
      if (info.plane_info[p].dtype == "U8") byte = byte_scale(Format::kMXFP4, kind, random);
      if (info.plane_info[p].dtype == "F8_E4M3" && (byte & std::byte{0x7F}) == std::byte{0x7F}) byte ^= std::byte{1};
    }
  }
}

inline void fill(TestWeight& weight, WeightKind kind, uint32_t seed) {
  std::mt19937 random(seed);
  const FormatInfo& info = format_info(weight.view.format);
  if (info.planes > 1) return fill_planes(weight, info, kind, random);
  std::vector<std::byte>& bytes = weight.planes[0];
  if (info.quantised()) {
    ASSERT_FALSE(half_offsets(info.format).empty() && n_byte_scales(info.format) == 0)
        << info.name << ": add its scales to half_offsets or n_byte_scales";
    for (size_t at = 0; at < bytes.size(); at += info.block_bytes) fill_block(&bytes[at], info, kind, random);
    return;
  }
  std::vector<float> values(weight.view.rows * weight.view.columns);
  std::normal_distribution<float> normal;
  const float size = kind == WeightKind::kDenormalScales ? 1e-6F : kind == WeightKind::kSaturated ? 6e4F : 1.0F;
  for (float& value : values) value = std::clamp(normal(random) * size, -6.5e4F, 6.5e4F);
  info.encode(values, bytes);
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
    std::vector<float> ordered(&x[token * weight.columns], &x[token * weight.columns] + weight.columns);
    for (size_t k = 0; k < weight.column_order.size(); ++k) {
      ordered[k] = x[token * weight.columns + weight.column_order[k]];
    }
    for (int64_t g = 0; info.quantised() && g < weight.columns / 32; ++g) {
      groups.push_back(quantise_group(&ordered[g * 32]));
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
