#pragma once
// FP8 with block scales (DeepSeek-V3): weight F8_E4M3 [rows, columns], weight_scale_inv [rows / 128, columns / 128],
// both rounded up: one scale for 128 x 128 weights. A float format: float(w) = fl(value * scale).
//
// E4M3 (OCP 8-bit floating point, "E4M3FN"): sign, 4 exponent bits of bias 7, 3 mantissa bits; no infinities, all ones
// is NaN, the largest number is 448.
#include <bit>

#include "formats/planes.h"

namespace megalith::fp8_block {

inline constexpr int64_t kBlock = 128;

inline float e4m3_to_float(uint8_t bits) {
  const uint32_t magnitude = bits & 0x7fu;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x80u) << 24;
  if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000u);
  const float subnormal = static_cast<float>(magnitude) * 0x1p-9f;
  const uint32_t value = magnitude < 8 ? std::bit_cast<uint32_t>(subnormal) : (magnitude << 20) + (120u << 23);
  return std::bit_cast<float>(sign | value);
}

inline void decode(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out) {
  const int64_t scales_per_row = planes::divide_up(weight.columns, kBlock);
  const auto values = weight.planes[0].subspan(static_cast<size_t>(row * weight.columns + begin), out.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t block = row / kBlock * scales_per_row + (begin + static_cast<int64_t>(i)) / kBlock;
    const float scale = planes::load_scale(weight.planes[1], weight.scale_format, block);
    out[i] = e4m3_to_float(static_cast<uint8_t>(values[i])) * scale;
  }
}

/// The finite E4M3 number nearest to a value; the one of even mantissa of two as near.
inline uint8_t nearest_e4m3(float value) {
  constexpr uint8_t kLargest = 0x7e;
  const float magnitude = std::fabs(value);
  uint8_t above = 0;  // the lowest number that is not smaller
  while (above < kLargest && e4m3_to_float(above) < magnitude) ++above;
  const auto below = static_cast<uint8_t>(above == 0 ? 0 : above - 1);
  const float distance_above = std::fabs(e4m3_to_float(above) - magnitude);
  const float distance_below = std::fabs(magnitude - e4m3_to_float(below));
  const bool is_below = distance_below < distance_above || (distance_below == distance_above && below % 2 == 0);
  return static_cast<uint8_t>((is_below ? below : above) | (std::signbit(value) ? 0x80 : 0));
}

inline void encode(std::span<const float> weights, const WeightView& shape, const PlaneBuffers& out) {
  constexpr float kLargest = 448.0f;
  const int64_t scales_per_row = planes::divide_up(shape.columns, kBlock);
  std::vector<float> largest(static_cast<size_t>(planes::divide_up(shape.rows, kBlock) * scales_per_row));
  const auto block_of = [&](int64_t index) {
    return index / shape.columns / kBlock * scales_per_row + index % shape.columns / kBlock;
  };
  const int64_t count = shape.rows * shape.columns;
  for (int64_t i = 0; i < count; ++i) {
    float& known = largest[static_cast<size_t>(block_of(i))];
    known = std::max(known, std::fabs(weights[static_cast<size_t>(i)]));
  }
  for (size_t block = 0; block < largest.size(); ++block) {
    planes::store_scale(out[1], shape.scale_format, static_cast<int64_t>(block), largest[block] / kLargest);
  }
  for (int64_t i = 0; i < count; ++i) {
    const float scale = planes::load_scale(out[1], shape.scale_format, block_of(i));
    const float value = weights[static_cast<size_t>(i)];
    out[0][static_cast<size_t>(i)] = static_cast<std::byte>(nearest_e4m3(scale == 0.0f ? 0.0f : value / scale));
  }
}

inline uint64_t plane_bytes(const WeightView& weight, int plane) {
  if (plane == 0)
    return planes::product({static_cast<uint64_t>(weight.rows), static_cast<uint64_t>(weight.columns), 1});
  return planes::product({static_cast<uint64_t>(planes::divide_up(weight.rows, kBlock)),
                          static_cast<uint64_t>(planes::divide_up(weight.columns, kBlock)),
                          planes::scale_bytes(weight.scale_format)});
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kFp8Block,
    .name = "FP8_BLOCK",
    .gguf_type = std::nullopt,
    .safetensors_type = "",
    .planes = 2,
    .axis = ContiguousAxis::kK,
    .block_weights = 1,
    .block_bytes = 1,
    .has_offset = false,
    .has_two_scales = false,
    .terms = nullptr,
    .decode = decode,
    .encode = nullptr,
    .plane_info = {{{"weight", "F8_E4M3"}, {"weight_scale_inv", ""}, {}, {}}},
    .plane_bytes = plane_bytes,
    .encode_planes = encode,
    .row_multiple = 1,
};

}  // namespace megalith::fp8_block
