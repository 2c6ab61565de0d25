#pragma once
// F32: 4 bytes a weight.
#include "formats/block_codec.h"

namespace megalith::f32 {

inline void decode(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out) {
  const std::byte* source = weight.planes[0].data() + static_cast<size_t>(row * weight.columns + begin) * sizeof(float);
  for (size_t i = 0; i < out.size(); ++i) {
    float value;
    std::memcpy(&value, source + i * sizeof(value), sizeof(value));
    out[i] = value;
  }
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t i = 0; i < weights.size(); ++i) {
    const float value = weights[i];
    std::memcpy(out.subspan(i * sizeof(value), sizeof(value)).data(), &value, sizeof(value));
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kF32,
    .name = "F32",
    .gguf_type = 0,
    .safetensors_type = "F32",
    .planes = 1,
    .axis = ContiguousAxis::kK,
    .block_weights = 1,
    .block_bytes = 4,
    .has_offset = false,
    .has_two_scales = false,
    .terms = nullptr,
    .decode = decode,
    .encode = encode,
};

}  // namespace megalith::f32
