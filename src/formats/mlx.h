#pragma once
// MLX's affine quantisation (mlx/backend/common/quantized.cpp, mx.quantize): scale * code + bias for each `group` of
// columns of a row. Planes: weight U32 [rows, columns * bits / 32], a little-endian stream of codes of `bits` bits in
// each row; scales and biases [rows, columns / group], of the model's float type.
#include "formats/block_codec.h"
#include "formats/planes.h"

namespace megalith::mlx {

template <int kBits>
GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  constexpr size_t kGroupBytes = GroupTerms::kSize * kBits / 8;
  const auto first = static_cast<size_t>(row * (weight.columns / GroupTerms::kSize) + group) * kGroupBytes;
  const std::byte* stream = weight.planes[0].subspan(first, kGroupBytes).data();
  GroupTerms terms;
  uint32_t bits = 0;  // of the stream, read but not yet used; never more than kBits - 1 + 8
  int n_bits = 0;
  for (int16_t& code : terms.codes) {
    while (n_bits < kBits) {
      bits |= static_cast<uint32_t>(*stream++) << n_bits;
      n_bits += 8;
    }
    code = static_cast<int16_t>(planes::field(bits, 0, kBits));
    bits >>= kBits;
    n_bits -= kBits;
  }
  const int64_t scales_per_row = planes::divide_up(weight.columns, weight.group);
  const int64_t scale = row * scales_per_row + group * GroupTerms::kSize / weight.group;
  terms.scales.fill(planes::load_scale(weight.planes[1], weight.scale_format, scale));
  terms.offset = -planes::load_scale(weight.planes[2], weight.scale_format, scale);
  return terms;
}

template <int kBits>
uint64_t plane_bytes(const WeightView& weight, int plane) {
  const auto rows = static_cast<uint64_t>(weight.rows);
  if (plane == 0) return planes::product({rows, static_cast<uint64_t>(weight.columns / GroupTerms::kSize), kBits * 4});
  const auto scales_per_row = static_cast<uint64_t>(planes::divide_up(weight.columns, weight.group));
  return planes::product({rows, scales_per_row, planes::scale_bytes(weight.scale_format)});
}

template <int kBits>
void encode(std::span<const float> weights, const WeightView& shape, const PlaneBuffers& out) {
  constexpr int kLargest = (1 << kBits) - 1;
  const int64_t scales_per_row = planes::divide_up(shape.columns, shape.group);
  for (int64_t index = 0; index < shape.rows * scales_per_row; ++index) {
    const int64_t row = index / scales_per_row;
    const int64_t begin = index % scales_per_row * shape.group;
    const int64_t count = std::min(shape.group, shape.columns - begin);
    const auto values = weights.subspan(static_cast<size_t>(row * shape.columns + begin), static_cast<size_t>(count));
    const auto [lowest, highest] = block_codec::range_of(values);
    const float scale = planes::stored_scale(shape.scale_format, (highest - lowest) / static_cast<float>(kLargest));
    const float bias = planes::stored_scale(shape.scale_format, lowest);
    planes::store_scale(out[1], shape.scale_format, index, scale);
    planes::store_scale(out[2], shape.scale_format, index, bias);
    for (int64_t i = 0; i < count; ++i) {
      const int code = block_codec::nearest_code(values[static_cast<size_t>(i)] - bias, scale, 0, kLargest);
      const int64_t first_bit = (row * shape.columns + begin + i) * kBits;
      const auto byte = static_cast<size_t>(first_bit / 8);
      const auto placed = static_cast<unsigned>(code) << (first_bit % 8);
      out[0][byte] |= static_cast<std::byte>(placed & 0xffu);
      if (placed > 0xffu) out[0][byte + 1] |= static_cast<std::byte>(placed >> 8);
    }
  }
}

template <int kBits>
constexpr FormatInfo info(Format format, std::string_view name) {
  return {.format = format,
          .name = name,
          .gguf_type = std::nullopt,
          .safetensors_type = "",
          .planes = 3,
          .axis = ContiguousAxis::kK,
          .block_weights = GroupTerms::kSize,
          .block_bytes = GroupTerms::kSize * kBits / 8,
          .has_offset = true,
          .has_two_scales = false,
          .terms = terms<kBits>,
          .decode = block_codec::decode_quantised,
          .encode = nullptr,
          .plane_info = {{{"weight", "U32"}, {"scales", ""}, {"biases", ""}, {}}},
          .plane_bytes = plane_bytes<kBits>,
          .encode_planes = encode<kBits>,
          .row_multiple = 1};
}

}  // namespace megalith::mlx
