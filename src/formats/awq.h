#pragma once
// AWQ, gemm layout, 4 bits (AutoAWQ, WQLinear_GEMM): scale * (code - zero point) for each `group` of columns of a row.
// Planes: qweight I32 [columns, rows / 8], qzeros I32 [columns / group, rows / 8], scales [columns / group, rows].
// Nibble i of a word, lowest first, belongs to row kRowOfNibble[i] of its eight.
#include "formats/block_codec.h"
#include "formats/planes.h"

namespace megalith::awq {

inline constexpr int kBits = 4;
inline constexpr int kRowsPerWord = 8;
inline constexpr std::array<int, kRowsPerWord> kNibbleOfRow = {0, 4, 1, 5, 2, 6, 3, 7};

/// The nibble of a row in line `line` of a plane of words [lines, rows / 8].
inline int load_nibble(std::span<const std::byte> plane, const WeightView& weight, int64_t line, int64_t row) {
  const uint32_t word = planes::load_word(plane, line * (weight.rows / kRowsPerWord) + row / kRowsPerWord);
  return planes::field(word, kNibbleOfRow[static_cast<size_t>(row % kRowsPerWord)] * kBits, kBits);
}

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const int64_t line = group * GroupTerms::kSize / weight.group;
  const int zero_point = load_nibble(weight.planes[1], weight, line, row);
  GroupTerms terms;
  for (size_t i = 0; i < GroupTerms::kSize; ++i) {
    const int64_t column = group * GroupTerms::kSize + static_cast<int64_t>(i);
    terms.codes[i] = static_cast<int16_t>(load_nibble(weight.planes[0], weight, column, row) - zero_point);
  }
  terms.scales.fill(planes::load_scale(weight.planes[2], weight.scale_format, line * weight.rows + row));
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, const WeightView& shape, const PlaneBuffers& out) {
  constexpr int kLargest = (1 << kBits) - 1;
  const int64_t words_per_line = shape.rows / kRowsPerWord;
  for (int64_t row = 0; row < shape.rows; ++row) {
    const int first_bit = kNibbleOfRow[static_cast<size_t>(row % kRowsPerWord)] * kBits;
    for (int64_t begin = 0; begin < shape.columns; begin += shape.group) {
      const int64_t count = std::min(shape.group, shape.columns - begin);
      const auto values = weights.subspan(static_cast<size_t>(row * shape.columns + begin), static_cast<size_t>(count));
      const auto [scale, zero_point] = planes::zero_point_scale(values, kLargest, shape.scale_format);
      const int64_t line = begin / shape.group;
      planes::store_scale(out[2], shape.scale_format, line * shape.rows + row, scale);
      planes::set_field(out[1], line * words_per_line + row / kRowsPerWord, first_bit, zero_point);
      for (int64_t i = 0; i < count; ++i) {
        const int code =
            block_codec::nearest_code(values[static_cast<size_t>(i)], scale, -zero_point, kLargest - zero_point) +
            zero_point;
        planes::set_field(out[0], (begin + i) * words_per_line + row / kRowsPerWord, first_bit, code);
      }
    }
  }
}

inline uint64_t plane_bytes(const WeightView& weight, int plane) {
  const auto rows = static_cast<uint64_t>(weight.rows);
  const auto columns = static_cast<uint64_t>(weight.columns);
  const auto lines = static_cast<uint64_t>(planes::divide_up(weight.columns, weight.group));
  if (plane == 2) return planes::product({lines, rows, planes::scale_bytes(weight.scale_format)});
  return planes::product({plane == 0 ? columns : lines, rows / kRowsPerWord, sizeof(uint32_t)});
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kAwq4,
    .name = "AWQ_4BIT",
    .gguf_type = std::nullopt,
    .safetensors_type = "",
    .planes = 3,
    .axis = ContiguousAxis::kN,
    .block_weights = GroupTerms::kSize,
    .block_bytes = GroupTerms::kSize * kBits / 8,
    .has_offset = false,
    .has_two_scales = false,
    .terms = terms,
    .decode = block_codec::decode_quantised,
    .encode = nullptr,
    .plane_info = {{{"qweight", "I32"}, {"qzeros", "I32"}, {"scales", ""}, {}}},
    .plane_bytes = plane_bytes,
    .encode_planes = encode,
    .row_multiple = kRowsPerWord,
};

}  // namespace megalith::awq
