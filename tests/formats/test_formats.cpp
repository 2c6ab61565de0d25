#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "formats/format_table.h"

namespace megalith {
namespace {

std::vector<std::byte> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  const std::vector<char> chars{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::byte> bytes(chars.size());
  std::memcpy(bytes.data(), chars.data(), chars.size());
  return bytes;
}

WeightView one_row(const FormatInfo& info, std::span<const std::byte> blocks) {
  WeightView view;
  view.format = info.format;
  view.rows = 1;
  view.columns = static_cast<int64_t>(blocks.size()) / info.block_bytes * info.block_weights;
  view.planes[0] = blocks;
  return view;
}

std::vector<float> decode_row(const FormatInfo& info, const WeightView& view, int64_t row) {
  std::vector<float> out(static_cast<size_t>(view.columns));
  info.decode(view, row, 0, out);
  return out;
}

std::vector<std::byte> encode(const FormatInfo& info, std::span<const float> weights) {
  std::vector<std::byte> bytes(weights.size() / static_cast<size_t>(info.block_weights) *
                               static_cast<size_t>(info.block_bytes));
  info.encode(weights, bytes);
  return bytes;
}

/// Deterministic, with blocks of very different size and one of zeros.
std::vector<float> sample_weights(size_t n) {
  std::mt19937 random(5);
  std::vector<float> weights(n);
  for (size_t i = 0; i < n; ++i) {
    const float unit = static_cast<float>(random() % 20001) / 10000.0f - 1.0f;
    weights[i] = i / 256 == 1 ? 0.0f : std::ldexp(unit, static_cast<int>(i / 256 % 7) - 3);
  }
  return weights;
}

class EveryFormat : public testing::TestWithParam<size_t> {
 protected:
  const FormatInfo& info() const { return format_table()[GetParam()]; }
};

TEST_P(EveryFormat, HasASoundRow) {
  EXPECT_EQ(static_cast<size_t>(info().format), GetParam());
  EXPECT_EQ(&format_info(info().format), &info());
  ASSERT_TRUE(info().gguf_type.has_value());
  EXPECT_EQ(format_by_gguf_type(*info().gguf_type), &info());
  EXPECT_EQ(gguf_type_name(*info().gguf_type), info().name);
  EXPECT_NE(info().decode, nullptr);
  EXPECT_TRUE(info().quantised() || !info().has_offset);
  if (info().quantised()) {
    EXPECT_EQ(info().block_weights % GroupTerms::kSize, 0);
  }
}

TEST_P(EveryFormat, DecodesAsTheGgufPackageDoes) {
  if (info().format == Format::kF32) GTEST_SKIP() << "F32 is its own golden";
  const auto file = read_bytes(std::string(MEGALITH_TEST_DATA) + "/formats/data/" + std::string(info().name) + ".bin");
  const size_t bytes_per_block = static_cast<size_t>(info().block_bytes + 4 * info().block_weights);
  ASSERT_EQ(file.size() % bytes_per_block, 0u);
  const size_t n_blocks = file.size() / bytes_per_block;
  ASSERT_GE(n_blocks, 16u);
  const auto blocks = std::span(file).first(n_blocks * static_cast<size_t>(info().block_bytes));
  std::vector<float> expected(n_blocks * static_cast<size_t>(info().block_weights));
  std::memcpy(expected.data(), file.data() + blocks.size(), expected.size() * sizeof(float));

  const std::vector<float> decoded = decode_row(info(), one_row(info(), blocks), 0);
  for (size_t i = 0; i < expected.size(); ++i) {
    // Folding signed sub-scales into the codes can turn -0 into +0; everything else is equal to the bit.
    const bool folds_signed_scales = info().format == Format::kQ6_K || info().format == Format::kQ3_K;
    const bool is_folded_zero = folds_signed_scales && expected[i] == 0.0f && decoded[i] == 0.0f;
    ASSERT_TRUE(is_folded_zero || std::bit_cast<uint32_t>(decoded[i]) == std::bit_cast<uint32_t>(expected[i]))
        << info().name << " weight " << i << ": " << decoded[i] << ", expected " << expected[i];
  }
}

TEST_P(EveryFormat, DecodesAnyGroupsOfAnyRowAlike) {
  constexpr int64_t kRows = 3;
  constexpr size_t kColumns = 512;
  const std::vector<float> weights = sample_weights(kRows * kColumns);
  const std::vector<std::byte> bytes = encode(info(), weights);
  const WeightView view{info().format, kRows, static_cast<int64_t>(kColumns), {bytes}};
  EXPECT_EQ(view.bytes(), bytes.size());
  const std::vector<float> whole = decode_row(info(), one_row(info(), bytes), 0);
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<float> decoded = decode_row(info(), view, row);
    EXPECT_EQ(std::memcmp(decoded.data(), whole.data() + static_cast<size_t>(row) * kColumns, kColumns * 4), 0);
    for (size_t begin = 0; begin < kColumns; begin += 32) {
      for (const size_t count : {size_t{32}, size_t{96}}) {
        if (begin + count > kColumns) continue;
        std::vector<float> part(count);
        info().decode(view, row, static_cast<int64_t>(begin), part);
        EXPECT_EQ(std::memcmp(part.data(), decoded.data() + begin, count * 4), 0) << "row " << row << " at " << begin;
      }
    }
  }
}

TEST_P(EveryFormat, TermsGiveTheDecodedWeights) {
  if (!info().quantised()) GTEST_SKIP() << "float formats have no terms";
  const std::vector<std::byte> bytes = encode(info(), sample_weights(1024));
  const WeightView view = one_row(info(), bytes);
  const std::vector<float> decoded = decode_row(info(), view, 0);
  for (int64_t group = 0; group < view.columns / GroupTerms::kSize; ++group) {
    const GroupTerms terms = info().terms(view, 0, group);
    EXPECT_TRUE(info().has_two_scales || terms.scales[0] == terms.scales[1]);
    EXPECT_TRUE(info().has_offset || terms.offset == 0.0f);
    int64_t largest_sum = 0;  // of code * activation over the group
    for (size_t i = 0; i < GroupTerms::kSize; ++i) {
      largest_sum += 127 * std::abs(terms.codes[i]);
      const float product = terms.scales[i / 16] * static_cast<float>(terms.codes[i]);
      const float offset = terms.offset * static_cast<float>(terms.offset_codes[i / 16]);
      EXPECT_EQ(decoded[static_cast<size_t>(group) * GroupTerms::kSize + i], product - offset);
    }
    EXPECT_LT(largest_sum, 1 << 24);
  }
}

/// The terms of a group of one block, whatever its bytes are.
GroupTerms terms_of_block(const FormatInfo& info, std::span<const std::byte> block, int64_t group) {
  return info.terms(one_row(info, block), 0, group);
}

/// The bits of a block that change `value_of(its terms)`, found by flipping each in several random blocks.
template <typename ValueOf>
std::vector<std::vector<size_t>> bits_behind(const FormatInfo& info, int64_t group, size_t n_values, ValueOf value_of) {
  std::mt19937 random(9);
  std::vector<std::vector<size_t>> bits(n_values);
  std::vector<std::byte> block(static_cast<size_t>(info.block_bytes));
  for (int base = 0; base < 8; ++base) {
    for (std::byte& byte : block) byte = static_cast<std::byte>(random());
    const GroupTerms before = terms_of_block(info, block, group);
    for (size_t bit = 0; bit < block.size() * 8; ++bit) {
      const std::byte mask = std::byte{1} << (bit % 8);
      block[bit / 8] ^= mask;
      const GroupTerms after = terms_of_block(info, block, group);
      block[bit / 8] ^= mask;
      for (size_t i = 0; i < n_values; ++i) {
        if (value_of(before, i) != value_of(after, i) && std::ranges::count(bits[i], bit) == 0) bits[i].push_back(bit);
      }
    }
  }
  return bits;
}

/// The largest |value| over all values of those bits; each value of a format depends on few.
template <typename ValueOf>
int64_t largest_over(const FormatInfo& info, int64_t group, const std::vector<size_t>& bits, ValueOf value) {
  std::vector<std::byte> block(static_cast<size_t>(info.block_bytes));
  int64_t largest = 0;
  for (size_t assignment = 0; assignment < size_t{1} << bits.size(); ++assignment) {
    for (size_t j = 0; j < bits.size(); ++j) {
      const std::byte mask = std::byte{1} << (bits[j] % 8);
      std::byte& byte = block[bits[j] / 8];
      byte = (assignment >> j & 1) != 0 ? byte | mask : byte & ~mask;
    }
    largest = std::max<int64_t>(largest, std::abs(value(terms_of_block(info, block, group))));
  }
  return largest;
}

TEST_P(EveryFormat, SumsOfAGroupAreExactForEveryBlock) {
  if (!info().quantised()) GTEST_SKIP() << "float formats have no terms";
  constexpr int64_t kExact = 1 << 24;
  const auto code = [](const GroupTerms& terms, size_t i) { return int{terms.codes[i]}; };
  const auto offset_code = [](const GroupTerms& terms, size_t half) { return int{terms.offset_codes[half]}; };
  for (int64_t group = 0; group < info().block_weights / GroupTerms::kSize; ++group) {
    const auto code_bits = bits_behind(info(), group, GroupTerms::kSize, code);
    int64_t largest_sum = 0;
    for (size_t i = 0; i < GroupTerms::kSize; ++i) {
      ASSERT_GE(code_bits[i].size(), 2u);
      ASSERT_LE(code_bits[i].size(), 14u) << "too many to try them all";
      ASSERT_EQ(code_bits[i].size(), code_bits[0].size()) << "weights of a format have the same number of bits";
      largest_sum += 127 * largest_over(info(), group, code_bits[i], [&](const auto& terms) { return code(terms, i); });
    }
    EXPECT_LT(largest_sum, kExact) << "group " << group;
    const auto offset_bits = bits_behind(info(), group, 2, offset_code);
    int64_t largest_offset_sum = 0;
    for (size_t half = 0; half < 2; ++half) {
      ASSERT_LE(offset_bits[half].size(), 8u) << "too many to try them all";
      largest_offset_sum += 16 * 127 * largest_over(info(), group, offset_bits[half], [&](const auto& terms) {
                              return offset_code(terms, half);
                            });
    }
    EXPECT_LT(largest_offset_sum, kExact) << "group " << group;
  }
}

TEST_P(EveryFormat, EncodingIsAsCloseAsItsStepsAllow) {
  const std::vector<float> weights = sample_weights(4096);
  const std::vector<std::byte> bytes = encode(info(), weights);
  const std::vector<float> decoded = decode_row(info(), one_row(info(), bytes), 0);
  // One step of each format relative to the largest weight of a block of 256 or less, and what the steps' own rounding
  // (half: 2^-11; 6-bit codes of a K-quant: half a code of 63, times the largest weight code) can add at the far end.
  const auto steps_of = [&]() -> double {
    switch (info().format) {
      case Format::kF32:
        return 0;
      case Format::kF16:
        return std::ldexp(1, -11);
      case Format::kBF16:
        return std::ldexp(1, -8);
      case Format::kQ4_0:
        return 1.0 / 8;  // a whole step at the end that has no code of its own
      case Format::kQ5_0:
        return 1.0 / 16;
      case Format::kQ8_0:
        return 0.5 / 127 + std::ldexp(1, -11);
      case Format::kQ4_1:
        return 2 * 0.5 / 15 + 2 * std::ldexp(1, -11);
      case Format::kQ5_1:
        return 2 * 0.5 / 31 + 2 * std::ldexp(1, -11);
      case Format::kQ4_K:
        return 2 * 0.5 / 15 + (2 + 1) * 0.5 / 63 + 3 * std::ldexp(1, -11);
      case Format::kQ5_K:
        return 2 * 0.5 / 31 + (2 + 1) * 0.5 / 63 + 3 * std::ldexp(1, -11);
      case Format::kQ6_K:
        return 0.5 / 31 + 0.5 / 127 + 2 * std::ldexp(1, -11);
      case Format::kQ2_K:
        return 2 * 0.5 / 3 + (2 + 1) * 0.5 / 15 + 3 * std::ldexp(1, -11);
      case Format::kQ3_K:
        return 1.0 / 4 + 0.5 / 31 + 2 * std::ldexp(1, -11);
      case Format::kIQ4_NL:
        return 14.0 / 127 + std::ldexp(1, -11);  // the codebook ends at 113 on the other side
      case Format::kIQ4_XS:
        return 14.0 / 127 + 0.5 / 31 + 2 * std::ldexp(1, -11);
      case Format::kMXFP4:
        return 1.0 / 5;  // 5 lies between 4 and 6, and a scale is any power of two
      case Format::kNVFP4:
        return 1.0 / 6 * (1 + 1.0 / 16);  // likewise, and scales of 4 significant bits bring 6 near the largest
      default:
        break;
    }
    return -1;
  };
  const double bound = steps_of() * 1.001;
  ASSERT_GE(bound, 0);
  for (size_t block = 0; block < weights.size(); block += 256) {
    double largest = 0;
    for (size_t i = block; i < block + 256; ++i) largest = std::max(largest, std::fabs(double{weights[i]}));
    for (size_t i = block; i < block + 256; ++i) {
      // The smallest half, 2^-24, is below every sample's step.
      ASSERT_LE(std::fabs(double{decoded[i]} - double{weights[i]}), bound * largest) << info().name << " weight " << i;
    }
  }
  EXPECT_EQ(bytes, encode(info(), weights)) << "encoding is deterministic";
}

TEST_P(EveryFormat, EncodesZerosAsZeros) {
  const std::vector<float> zeros(512, 0.0f);
  const std::vector<std::byte> bytes = encode(info(), zeros);
  for (const float value : decode_row(info(), one_row(info(), bytes), 0)) EXPECT_EQ(value, 0.0f);
}

TEST_P(EveryFormat, EncodingWhatWasDecodedKeepsTheLargestMagnitudesNear) {
  // Constant blocks, of either sign: nothing is lost but the steps' rounding, and no code overflows its bits.
  const float tolerance = info().format == Format::kMXFP4   ? 1.0f / 5   // scales are powers of two
                          : info().format == Format::kNVFP4 ? 1.0f / 16  // scales have 4 significant bits
                                                            : 0.01f;
  for (const float constant : {1.0f, -1.0f, 0.37f, -250.0f}) {
    const std::vector<float> weights(256, constant);
    const std::vector<float> decoded = decode_row(info(), one_row(info(), encode(info(), weights)), 0);
    for (const float value : decoded)
      ASSERT_NEAR(value / constant, 1.0f, tolerance) << info().name << " of " << constant;
  }
}

std::vector<size_t> formats_of_one_plane() {
  std::vector<size_t> indices;
  for (const FormatInfo& info : format_table()) {
    if (info.planes == 1) indices.push_back(static_cast<size_t>(info.format));
  }
  return indices;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryFormat, testing::ValuesIn(formats_of_one_plane()),
                         [](const auto& param) { return std::string(format_table()[param.param].name); });

TEST(FormatTable, NamesAndIdsAreUnique) {
  std::set<std::string_view> names;
  std::set<uint32_t> ids;
  for (const FormatInfo& info : format_table()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    if (info.gguf_type) {
      EXPECT_TRUE(ids.insert(*info.gguf_type).second) << info.name;
    }
  }
}

TEST(FormatTable, Mxfp4ReachesBothEndsOfFloat) {
  // All 16 codes at each end of the scale: 2^-128 and 2^-127 are denormal, and so are their smallest multiples.
  const FormatInfo& info = format_info(Format::kMXFP4);
  std::vector<std::byte> block(static_cast<size_t>(info.block_bytes));
  for (size_t i = 0; i < 16; ++i) block[1 + i] = static_cast<std::byte>(i * 0x11);
  const std::array<double, 16> e2m1 = {0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6};
  for (const int exponent : {0, 1, 2, 3, 127, 251, 252, 253, 254}) {
    block[0] = static_cast<std::byte>(exponent);
    const std::vector<float> decoded = decode_row(info, one_row(info, block), 0);
    for (size_t i = 0; i < 32; ++i) {
      const double expected = std::ldexp(e2m1[i % 16], exponent - 127);
      EXPECT_EQ(decoded[i], static_cast<float>(expected)) << "exponent " << exponent << " weight " << i;
      EXPECT_TRUE(std::isinf(decoded[i]) || decoded[i] == expected) << "exponent " << exponent << " weight " << i;
    }
  }
}

TEST(FormatTable, NamesEveryGgmlType) {
  EXPECT_EQ(gguf_type_name(0), "F32");
  EXPECT_EQ(gguf_type_name(4), "Q4_2");
  EXPECT_EQ(gguf_type_name(16), "IQ2_XXS");
  EXPECT_EQ(gguf_type_name(30), "BF16");
  EXPECT_EQ(gguf_type_name(31), "Q4_0_4_4");
  EXPECT_EQ(gguf_type_name(34), "TQ1_0");
  EXPECT_EQ(gguf_type_name(38), "IQ4_NL_8_8");
  EXPECT_EQ(gguf_type_name(39), "MXFP4");
  EXPECT_EQ(gguf_type_name(41), "Q1_0");
  EXPECT_EQ(gguf_type_name(77), "type 77");
  EXPECT_EQ(gguf_type_name(0xffffffff), "type 4294967295");
  EXPECT_EQ(format_by_gguf_type(16), nullptr);
  EXPECT_EQ(format_by_gguf_type(77), nullptr);
}

}  // namespace
}  // namespace megalith
