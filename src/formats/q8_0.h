#pragma once
// Q8_0: 32 weights in 34 bytes, scale * code.
#include "formats/block_codec.h"

namespace megalith::q8_0 {

inline constexpr int kBlockWeights = 32;

struct Block {
  uint16_t scale;  // half
  std::array<int8_t, 32> codes;
};
static_assert(sizeof(Block) == 34);

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group, kBlockWeights);
  GroupTerms terms;
  for (int i = 0; i < kBlockWeights; ++i) {
    terms.codes[static_cast<size_t>(i)] = static_cast<int16_t>(block.codes[static_cast<size_t>(i)]);
  }
  terms.scales.fill(half_to_float(block.scale));
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    Block block{};
    block.scale = float_to_half(std::fabs(block_codec::extreme_of(values)) / 127.0f);
    const float step = half_to_float(block.scale);
    for (size_t i = 0; i < kBlockWeights; ++i) {
      block.codes[i] = static_cast<int8_t>(block_codec::nearest_code(values[i], step, -127, 127));
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kQ8_0,
    .name = "Q8_0",
    .gguf_type = 8,
    .safetensors_type = "",
    .planes = 1,
    .axis = ContiguousAxis::kK,
    .block_weights = kBlockWeights,
    .block_bytes = sizeof(Block),
    .has_offset = false,
    .has_two_scales = false,
    .terms = terms,
    .decode = block_codec::decode_quantised,
    .encode = encode,
};

}  // namespace megalith::q8_0
