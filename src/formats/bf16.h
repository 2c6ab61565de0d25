#pragma once
// BF16: 2 bytes a weight.
#include "formats/block_codec.h"

namespace megalith::bf16 {

inline void decode(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out) {
  const std::byte* source =
      weight.planes[0].data() + static_cast<size_t>(row * weight.columns + begin) * sizeof(uint16_t);
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t value;
    std::memcpy(&value, source + i * sizeof(value), sizeof(value));
    out[i] = bfloat16_to_float(value);
  }
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t i = 0; i < weights.size(); ++i) {
    const uint16_t value = float_to_bfloat16(weights[i]);
    std::memcpy(out.subspan(i * sizeof(value), sizeof(value)).data(), &value, sizeof(value));
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kBF16,
    .name = "BF16",
    .gguf_type = 30,
    .safetensors_type = "BF16",
    .planes = 1,
    .axis = ContiguousAxis::kK,
    .block_weights = 1,
    .block_bytes = 2,
    .has_offset = false,
    .has_two_scales = false,
    .terms = nullptr,
    .decode = decode,
    .encode = encode,
};

}  // namespace megalith::bf16
