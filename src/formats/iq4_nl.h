#pragma once
// IQ4_NL: 32 weights in 18 bytes, scale * entry of a codebook.
#include "formats/codebook.h"

namespace megalith::iq4_nl {

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
    terms.codes[static_cast<size_t>(i)] = codebook::entry(codebook::kIq4, block_codec::split_nibble(block.nibbles, i));
  }
  terms.scales.fill(half_to_float(block.scale));
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    Block block{};
    block.scale = float_to_half(block_codec::extreme_of(values) / -127.0f);  // the extreme gets the entry -127
    const float step = half_to_float(block.scale);
    for (int i = 0; i < kBlockWeights; ++i) {
      const int code = codebook::nearest_code(codebook::kIq4, values[static_cast<size_t>(i)], step);
      block_codec::set_split_nibble(block.nibbles, i, code);
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kIQ4_NL,
    .name = "IQ4_NL",
    .gguf_type = 20,
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

}  // namespace megalith::iq4_nl
