#pragma once
// Q4_0: 32 weights in 18 bytes, scale * (code - 8).
#include "formats/block_codec.h"

namespace megalith::q4_0 {

inline constexpr int kBlockWeights = 32;

struct Block {
  uint16_t scale;                   // half
  std::array<uint8_t, 16> nibbles;  // weights 0-15 low, 16-31 high
};
static_assert(sizeof(Block) == 18);

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group, kBlockWeights);
  GroupTerms terms;
  for (int i = 0; i < kBlockWeights; ++i) {
    terms.codes[static_cast<size_t>(i)] = static_cast<int16_t>(block_codec::split_nibble(block.nibbles, i) - 8);
  }
  terms.scales.fill(half_to_float(block.scale));
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    Block block{};
    block.scale = float_to_half(block_codec::extreme_of(values) / -8.0f);  // the extreme gets code -8
    const float step = half_to_float(block.scale);
    for (int i = 0; i < kBlockWeights; ++i) {
      const int code = block_codec::nearest_code(values[static_cast<size_t>(i)], step, -8, 7) + 8;
      block_codec::set_split_nibble(block.nibbles, i, code);
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kQ4_0,
    .name = "Q4_0",
    .gguf_type = 2,
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

}  // namespace megalith::q4_0
