#pragma once
// GPTQ (AutoGPTQ and GPTQModel, QuantLinear): scale * (code - zero point) for each group of columns of a row. Planes:
// qweight I32 [columns * bits / 32, rows], consecutive columns from the lowest bits of a word on; qzeros I32 [groups,
// rows * bits / 32], consecutive rows likewise; scales [groups, rows]; g_idx I32 [columns], the group of each column,
// or no plane where groups are `group` consecutive columns ("desc_act": false).
//
// Zero points of "gptq" files are stored less 1 (zero_point_shift 1), those of "gptq_v2" as they are. The sum is taken
// modulo 2^bits, as AutoGPTQ does: a zero point 0 is stored as all ones.
#include "formats/block_codec.h"
#include "formats/planes.h"

namespace megalith::gptq {

inline int64_t group_of_column(const WeightView& weight, int64_t column) {
  if (weight.planes[3].empty()) return column / weight.group;
  return planes::load_word(weight.planes[3], column);
}

template <int kBits>
int zero_point(const WeightView& weight, int64_t row, int64_t group) {
  constexpr int kPerWord = planes::kWordBits / kBits;
  const uint32_t word = planes::load_word(weight.planes[1], group * (weight.rows / kPerWord) + row / kPerWord);
  const int stored = planes::field(word, static_cast<int>(row % kPerWord) * kBits, kBits);
  return (stored + weight.zero_point_shift) & ((1 << kBits) - 1);
}

template <int kBits>
int code(const WeightView& weight, int64_t row, int64_t column) {
  constexpr int kPerWord = planes::kWordBits / kBits;
  const uint32_t word = planes::load_word(weight.planes[0], column / kPerWord * weight.rows + row);
  return planes::field(word, static_cast<int>(column % kPerWord) * kBits, kBits);
}

inline float scale(const WeightView& weight, int64_t row, int64_t group) {
  return planes::load_scale(weight.planes[2], weight.scale_format, group * weight.rows + row);
}

template <int kBits>
GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto column_at = [&weight](int64_t place) {
    return weight.column_order.empty() ? place : weight.column_order[static_cast<size_t>(place)];
  };
  const int64_t first = group * GroupTerms::kSize;
  const int64_t shared = group_of_column(weight, column_at(first));  // by all 32: fault_of sees to that
  const int zero = zero_point<kBits>(weight, row, shared);
  GroupTerms terms;
  for (size_t i = 0; i < GroupTerms::kSize; ++i) {
    const int64_t column = column_at(first + static_cast<int64_t>(i));
    terms.codes[i] = static_cast<int16_t>(code<kBits>(weight, row, column) - zero);
  }
  terms.scales.fill(scale(weight, row, shared));
  terms.offset = 0.0f;
  return terms;
}

template <int kBits>
void decode(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t column = begin + static_cast<int64_t>(i);
    const int64_t group = group_of_column(weight, column);
    const int difference = code<kBits>(weight, row, column) - zero_point<kBits>(weight, row, group);
    out[i] = scale(weight, row, group) * static_cast<float>(difference);
  }
}

template <int kBits>
void encode(std::span<const float> weights, const WeightView& shape, const PlaneBuffers& out) {
  constexpr int kPerWord = planes::kWordBits / kBits;
  constexpr int kLargest = (1 << kBits) - 1;
  std::vector<std::vector<int64_t>> members(static_cast<size_t>(planes::divide_up(shape.columns, shape.group)));
  for (int64_t k = 0; k < shape.columns; ++k) members[static_cast<size_t>(group_of_column(shape, k))].push_back(k);
  std::vector<float> values;
  for (int64_t row = 0; row < shape.rows; ++row) {
    const std::span<const float> all = weights.subspan(static_cast<size_t>(row * shape.columns));
    for (size_t g = 0; g < members.size(); ++g) {
      values.clear();
      for (const int64_t k : members[g]) values.push_back(all[static_cast<size_t>(k)]);
      if (values.empty()) continue;
      const auto [scale, zero_point] = planes::zero_point_scale(values, kLargest, shape.scale_format);
      const auto group = static_cast<int64_t>(g);
      planes::store_scale(out[2], shape.scale_format, group * shape.rows + row, scale);
      planes::set_field(out[1], group * (shape.rows / kPerWord) + row / kPerWord,
                        static_cast<int>(row % kPerWord) * kBits, (zero_point - shape.zero_point_shift) & kLargest);
      for (size_t i = 0; i < values.size(); ++i) {
        const int64_t k = members[g][i];
        const int code = block_codec::nearest_code(values[i], scale, -zero_point, kLargest - zero_point) + zero_point;
        planes::set_field(out[0], k / kPerWord * shape.rows + row, static_cast<int>(k % kPerWord) * kBits, code);
      }
    }
  }
}

template <int kBits>
uint64_t plane_bytes(const WeightView& weight, int plane) {
  const auto rows = static_cast<uint64_t>(weight.rows);
  const auto columns = static_cast<uint64_t>(weight.columns);
  const auto groups = static_cast<uint64_t>(planes::divide_up(weight.columns, weight.group));
  constexpr uint64_t kPerWord = planes::kWordBits / kBits;
  switch (plane) {
    case 0:
      return planes::product({columns / kPerWord, rows, sizeof(uint32_t)});
    case 1:
      return planes::product({groups, rows / kPerWord, sizeof(uint32_t)});
    case 2:
      return planes::product({groups, rows, planes::scale_bytes(weight.scale_format)});
    default:
      return planes::product({columns, sizeof(uint32_t), 1});
  }
}

template <int kBits>
constexpr FormatInfo info(Format format, std::string_view name) {
  return {.format = format,
          .name = name,
          .gguf_type = std::nullopt,
          .safetensors_type = "",
          .planes = 4,
          .axis = ContiguousAxis::kN,
          .block_weights = GroupTerms::kSize,
          .block_bytes = GroupTerms::kSize * kBits / 8,
          .has_offset = false,
          .has_two_scales = false,
          .terms = terms<kBits>,
          .decode = decode<kBits>,
          .encode = nullptr,
          .plane_info = {{{"qweight", "I32"}, {"qzeros", "I32"}, {"scales", ""}, {"g_idx", "I32"}}},
          .plane_bytes = plane_bytes<kBits>,
          .encode_planes = encode<kBits>,
          .row_multiple = planes::kWordBits / kBits};
}

}  // namespace megalith::gptq
