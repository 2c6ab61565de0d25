// Formats of several planes, against the goldens of tests/oracle/make_plane_goldens.py; and what all formats share:
// plane sizes, faults, slices, encoding.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/encode.h"

namespace megalith {
namespace {

/// One case of a golden file: a weight and what it decodes to, [rows, columns].
struct Golden {
  EncodedWeight weight;
  std::vector<float> expected;
};

std::vector<Golden> read_goldens(const FormatInfo& info) {
  std::ifstream file(std::string(MEGALITH_TEST_DATA) + "/formats/data/" + std::string(info.name) + ".bin",
                     std::ios::binary);
  EXPECT_TRUE(file.good()) << info.name;
  const auto read = [&file](void* to, size_t bytes) {
    file.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
    EXPECT_EQ(static_cast<size_t>(file.gcount()), bytes);
  };
  std::vector<Golden> goldens;
  while (file.peek() != std::ifstream::traits_type::eof()) {
    std::array<int64_t, 9> header{};
    read(header.data(), sizeof(header));
    Golden golden;
    WeightView& view = golden.weight.view;
    view.format = info.format;
    view.rows = header[0];
    view.columns = header[1];
    view.group = header[2];
    view.scale_format = std::array{Format::kF32, Format::kF16, Format::kBF16}[static_cast<size_t>(header[3])];
    view.zero_point_shift = static_cast<uint8_t>(header[4]);
    for (size_t plane = 0; plane < kMaxPlanes; ++plane) {
      auto& bytes = golden.weight.planes[plane];
      bytes.resize(static_cast<size_t>(header[5 + plane]));
      read(bytes.data(), bytes.size());
      view.planes[plane] = bytes;
    }
    golden.weight.column_order = column_order_of(view);
    view.column_order = golden.weight.column_order;
    golden.expected.resize(static_cast<size_t>(view.rows * view.columns));
    read(golden.expected.data(), golden.expected.size() * sizeof(float));
    goldens.push_back(std::move(golden));
  }
  return goldens;
}

std::vector<float> decode_row(const WeightView& view, int64_t row) {
  std::vector<float> out(static_cast<size_t>(view.columns));
  format_info(view.format).decode(view, row, 0, out);
  return out;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// Deterministic, with groups of very different size and one of zeros.
std::vector<float> sample_weights(size_t n) {
  std::mt19937 random(5);
  std::vector<float> weights(n);
  for (size_t i = 0; i < n; ++i) {
    const float unit = static_cast<float>(random() % 20001) / 10000.0f - 1.0f;
    weights[i] = i / 256 == 1 ? 0.0f : std::ldexp(unit, static_cast<int>(i / 256 % 7) - 3);
  }
  return weights;
}

/// [columns] int32: `group` columns in each, in no order.
std::vector<std::byte> shuffled_groups(int64_t columns, int64_t group) {
  std::vector<int32_t> indices(static_cast<size_t>(columns));
  for (size_t k = 0; k < indices.size(); ++k) indices[k] = static_cast<int32_t>(static_cast<int64_t>(k) / group);
  std::mt19937 random(7);
  std::shuffle(indices.begin(), indices.end(), random);
  std::vector<std::byte> bytes(indices.size() * sizeof(int32_t));
  std::memcpy(bytes.data(), indices.data(), bytes.size());
  return bytes;
}

class AnyFormat : public testing::TestWithParam<Format> {
 protected:
  const FormatInfo& info() const { return format_info(GetParam()); }
  /// All that a file may decide, decided.
  WeightView shape(int64_t rows, int64_t columns) const {
    WeightView view{.format = GetParam(), .rows = rows, .columns = columns};
    if (info().planes > 1) {
      view.group = 64;
      view.scale_format = Format::kF32;
    }
    return view;
  }
};

std::string format_name(const testing::TestParamInfo<Format>& tested) {
  return std::string(format_info(tested.param).name);
}

std::vector<Format> formats_of_planes(int least) {
  std::vector<Format> formats;
  for (const FormatInfo& info : format_table()) {
    if (info.planes >= least) formats.push_back(info.format);
  }
  return formats;
}

INSTANTIATE_TEST_SUITE_P(Table, AnyFormat, testing::ValuesIn(formats_of_planes(1)), format_name);

class PlaneFormat : public AnyFormat {};
INSTANTIATE_TEST_SUITE_P(Table, PlaneFormat, testing::ValuesIn(formats_of_planes(2)), format_name);

TEST_P(PlaneFormat, DecodesAsItsAuthorsDo) {
  const std::vector<Golden> goldens = read_goldens(info());
  ASSERT_FALSE(goldens.empty());
  for (size_t i = 0; i < goldens.size(); ++i) {
    const WeightView& view = goldens[i].weight.view;
    ASSERT_EQ(fault_of(view), "") << "case " << i;
    for (int64_t row = 0; row < view.rows; ++row) {
      const std::vector<float> decoded = decode_row(view, row);
      for (int64_t k = 0; k < view.columns; ++k) {
        // A code of 0 times a negative scale is -0 to some authors, +0 to others.
        ASSERT_EQ(decoded[static_cast<size_t>(k)], goldens[i].expected[static_cast<size_t>(row * view.columns + k)])
            << "case " << i << " row " << row << " column " << k;
      }
      for (int64_t begin = 0; begin < view.columns; begin += 32) {
        std::vector<float> part(static_cast<size_t>(std::min<int64_t>(64, view.columns - begin)));
        info().decode(view, row, begin, part);
        ASSERT_TRUE(same_bits(part, std::span(decoded).subspan(static_cast<size_t>(begin), part.size())));
      }
    }
  }
}

TEST_P(PlaneFormat, TermsGiveTheDecodedWeightsInTheKOrder) {
  if (!info().quantised()) GTEST_SKIP() << "float formats have no terms";
  bool has_order = false;
  for (const Golden& golden : read_goldens(info())) {
    const WeightView& view = golden.weight.view;
    has_order = has_order || !view.column_order.empty();
    for (int64_t row = 0; row < view.rows; ++row) {
      const std::vector<float> decoded = decode_row(view, row);
      for (int64_t group = 0; group < view.columns / GroupTerms::kSize; ++group) {
        const GroupTerms terms = info().terms(view, row, group);
        EXPECT_EQ(terms.scales[0], terms.scales[1]);
        EXPECT_TRUE(info().has_offset || terms.offset == 0.0f);
        for (size_t i = 0; i < GroupTerms::kSize; ++i) {
          const size_t place = static_cast<size_t>(group) * GroupTerms::kSize + i;
          const size_t column = view.column_order.empty() ? place : static_cast<size_t>(view.column_order[place]);
          EXPECT_LE(std::abs(terms.codes[i]), 255) << "32 * 127 * 255 is exact in a float";
          const float product = terms.scales[0] * static_cast<float>(terms.codes[i]);
          ASSERT_EQ(decoded[column], product - terms.offset);
        }
      }
    }
  }
  EXPECT_EQ(has_order, info().planes == kMaxPlanes) << "GPTQ's goldens have act-order, others cannot";
}

TEST_P(AnyFormat, PlanesAreAsLargeAsTheySay) {
  const EncodedWeight weight = encode_weight(shape(256, 512), sample_weights(256 * 512));
  EXPECT_EQ(fault_of(weight.view), "");
  uint64_t total = 0;
  for (int plane = 0; plane < info().planes; ++plane) {
    const bool is_optional = plane == kMaxPlanes - 1;
    const uint64_t has = weight.view.planes[static_cast<size_t>(plane)].size();
    EXPECT_EQ(has, is_optional ? 0 : plane_bytes(weight.view, plane));
    EXPECT_EQ(info().planes > 1, !info().plane_info[static_cast<size_t>(plane)].name.empty());
    total += has;
  }
  EXPECT_EQ(weight.view.bytes(), total);
  EXPECT_EQ(plane_bytes(weight.view, 0), 256u * 512 / static_cast<size_t>(info().block_weights) * info().block_bytes);
}

TEST_P(AnyFormat, FaultsAreNamed) {
  const EncodedWeight weight = encode_weight(shape(256, 512), sample_weights(256 * 512));
  const auto expect_fault = [](const WeightView& view, const std::string& part) {
    EXPECT_NE(fault_of(view).find(part), std::string::npos) << fault_of(view);
  };
  for (int plane = 0; plane < std::min(info().planes, kMaxPlanes - 1); ++plane) {
    for (const int difference : {-1, 1}) {
      WeightView wrong = weight.view;
      std::vector<std::byte> bytes(wrong.planes[static_cast<size_t>(plane)].size() + static_cast<size_t>(difference));
      wrong.planes[static_cast<size_t>(plane)] = bytes;
      expect_fault(wrong, "are needed");
    }
  }
  WeightView wrong = weight.view;
  wrong.rows = 0;
  expect_fault(wrong, "is empty");
  wrong.rows = int64_t{1} << 60;
  expect_fault(wrong, "are needed");
  if (info().block_weights > 1) {
    wrong = weight.view;
    wrong.columns = 500;
    expect_fault(wrong, "500 columns");
  }
  if (info().row_multiple > 1) {
    wrong = weight.view;
    wrong.rows = 255;
    expect_fault(wrong, "255 rows");
  }
  if (info().planes > 1 && info().quantised() && GetParam() != Format::kMxfp4Planes) {
    for (const int64_t group : {int64_t{0}, int64_t{-1}, int64_t{48}, int64_t{16}}) {
      wrong = weight.view;
      wrong.group = group;
      expect_fault(wrong, "columns in one group");
    }
  }
}

TEST_P(AnyFormat, RowsOfAStackAreWeightsOfTheirOwn) {
  const EncodedWeight weight = encode_weight(shape(256, 512), sample_weights(256 * 512));
  if (info().axis == ContiguousAxis::kN) {
    EXPECT_THROW(slice_rows(weight.view, 0, 128), Error);
    return;
  }
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 128}, {128, 128}, {0, 256}}) {
    const WeightView slice = slice_rows(weight.view, begin, count);
    EXPECT_EQ(fault_of(slice), "");
    for (int64_t row = 0; row < count; ++row) {
      ASSERT_TRUE(same_bits(decode_row(slice, row), decode_row(weight.view, begin + row))) << row;
    }
  }
  EXPECT_THROW(slice_rows(weight.view, 200, 57), Error);
  EXPECT_THROW(slice_rows(weight.view, -1, 5), Error);
  EXPECT_THROW(slice_rows(weight.view, 0, 0), Error);
  EXPECT_THROW(slice_rows(weight.view, 1, INT64_MAX), Error);
  if (GetParam() == Format::kFp8Block) {
    EXPECT_THROW(slice_rows(weight.view, 64, 128), Error);
    EXPECT_THROW(slice_rows(weight.view, 0, 64), Error);
  } else {
    EXPECT_TRUE(same_bits(decode_row(slice_rows(weight.view, 7, 5), 2), decode_row(weight.view, 9)));
  }
}

/// Half a step relative to the range of a group, or to its largest magnitude; and the steps' own rounding, in F32.
double relative_error(Format format) {
  switch (format) {
    case Format::kMlx2:
      return 0.5 / 3 * 2;
    case Format::kMlx3:
      return 0.5 / 7 * 2;
    case Format::kMlx4:
      return 0.5 / 15 * 2;
    case Format::kMlx5:
      return 0.5 / 31 * 2;
    case Format::kMlx6:
      return 0.5 / 63 * 2;
    case Format::kMlx8:
      return 0.5 / 255 * 2;
    case Format::kAwq4:
    case Format::kGptq4:
      return 1.0 / 15 * 2;  // the zero point is rounded too
    case Format::kGptq8:
      return 1.0 / 255 * 2;
    case Format::kFp8Block:
      return 1.0 / 16;  // of each weight, of three mantissa bits
    case Format::kMxfp4Planes:
      return 1.0 / 5;  // 5 lies between 4 and 6, and a scale is any power of two
    default:
      return -1;
  }
}

TEST_P(PlaneFormat, EncodingIsAsCloseAsItsStepsAllow) {
  constexpr int64_t kRows = 24;
  constexpr int64_t kColumns = 256;
  const std::vector<float> weights = sample_weights(kRows * kColumns);
  WeightView wanted = shape(kRows, kColumns);
  const std::vector<std::byte> groups = shuffled_groups(kColumns, wanted.group);
  for (const bool is_shuffled : {false, true}) {
    if (is_shuffled && info().planes < kMaxPlanes) continue;
    if (is_shuffled) wanted.planes[3] = groups;
    wanted.zero_point_shift = is_shuffled ? 1 : 0;
    const EncodedWeight encoded = encode_weight(wanted, weights);
    ASSERT_EQ(fault_of(encoded.view), "");
    EXPECT_EQ(encoded.view.column_order.empty(), !is_shuffled);
    for (int64_t row = 0; row < kRows; ++row) {
      const std::vector<float> decoded = decode_row(encoded.view, row);
      const auto values = std::span(weights).subspan(static_cast<size_t>(row * kColumns), kColumns);
      // FP8's blocks reach over rows, of which the largest has values up to 8.
      const float extreme = *std::ranges::max_element(values, {}, [](float value) { return std::fabs(value); });
      const double largest = GetParam() == Format::kFp8Block ? 8.0 : std::fabs(double{extreme});
      for (size_t k = 0; k < decoded.size(); ++k) {
        ASSERT_LE(std::fabs(double{decoded[k]} - double{values[k]}), relative_error(GetParam()) * 1.001 * largest)
            << "row " << row << " column " << k;
      }
    }
    EXPECT_EQ(encoded.planes, encode_weight(wanted, weights).planes) << "encoding is deterministic";
  }
}

TEST(ActOrder, IsTheStableSortByGroup) {
  constexpr int64_t kColumns = 256;
  WeightView shape{.format = Format::kGptq4, .rows = 8, .columns = kColumns};
  shape.group = 64;
  const std::vector<float> weights = sample_weights(8 * kColumns);
  const std::vector<std::byte> shuffled = shuffled_groups(kColumns, 64);
  shape.planes[3] = shuffled;
  const EncodedWeight weight = encode_weight(shape, weights);
  ASSERT_EQ(weight.column_order.size(), static_cast<size_t>(kColumns));
  std::vector<int32_t> groups(kColumns);
  std::memcpy(groups.data(), shuffled.data(), shuffled.size());
  for (size_t i = 0; i < weight.column_order.size(); ++i) {
    const int32_t column = weight.column_order[i];
    EXPECT_EQ(groups[static_cast<size_t>(column)], static_cast<int32_t>(i / 64));
    if (i % 64 != 0) {
      EXPECT_LT(weight.column_order[i - 1], column) << "stable";
    }
  }

  std::vector<std::byte> other = shuffled;
  const auto set_group = [&](size_t column, int32_t group) { std::memcpy(&other[column * 4], &group, sizeof(group)); };
  WeightView wrong = weight.view;
  wrong.planes[3] = other;
  for (const int32_t group : {4, -1, INT32_MAX}) {
    set_group(17, group);
    EXPECT_NE(fault_of(wrong).find("column 17 the group " + std::to_string(group) + " of 4"), std::string::npos);
  }
  set_group(17, groups[17] == 0 ? 1 : 0);
  EXPECT_NE(fault_of(wrong).find("columns in one group"), std::string::npos) << fault_of(wrong);
  for (size_t k = 0; k < kColumns; ++k) set_group(k, static_cast<int32_t>(k / 64));
  EXPECT_EQ(fault_of(wrong), "");
  EXPECT_TRUE(column_order_of(wrong).empty()) << "consecutive groups need no order";
  wrong.planes[3] = {};
  EXPECT_TRUE(column_order_of(wrong).empty());
  wrong.planes[3] = std::span(other).first(other.size() - 1);
  EXPECT_NE(fault_of(wrong).find("'g_idx'"), std::string::npos);
}

}  // namespace
}  // namespace megalith
