#pragma once
// Q5_1: 32 weights in 24 bytes, scale * code + minimum.
#include "formats/block_codec.h"

namespace megalith::q5_1 {

inline constexpr int kBlockWeights = 32;

struct Block {
  uint16_t scale;    // half
  uint16_t minimum;  // half
  std::array<uint8_t, 4> fifth_bits;
  std::array<uint8_t, 16> nibbles;  // weights 0-15 low, 16-31 high
};
static_assert(sizeof(Block) == 24);

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group, kBlockWeights);
  GroupTerms terms;
  for (int i = 0; i < kBlockWeights; ++i) {
    terms.codes[static_cast<size_t>(i)] = static_cast<int16_t>(
        (block_codec::split_nibble(block.nibbles, i) | (block_codec::fifth_bit(block.fifth_bits, i) << 4)));
  }
  terms.scales.fill(half_to_float(block.scale));
  terms.offset = -half_to_float(block.minimum);
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    Block block{};
    const auto [lowest, highest] = block_codec::range_of(values);
    block.scale = float_to_half((highest - lowest) / 31.0f);
    block.minimum = float_to_half(lowest);
    const float step = half_to_float(block.scale);
    const float minimum = half_to_float(block.minimum);
    for (int i = 0; i < kBlockWeights; ++i) {
      const int code = block_codec::nearest_code(values[static_cast<size_t>(i)] - minimum, step, 0, 31);
      block_codec::set_split_nibble(block.nibbles, i, code);
      block_codec::set_fifth_bit(block.fifth_bits, i, code);
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kQ5_1,
    .name = "Q5_1",
    .gguf_type = 7,
    .safetensors_type = "",
    .planes = 1,
    .axis = ContiguousAxis::kK,
    .block_weights = kBlockWeights,
    .block_bytes = sizeof(Block),
    .has_offset = true,
    .has_two_scales = false,
    .terms = terms,
    .decode = block_codec::decode_quantised,
    .encode = encode,
};

}  // namespace megalith::q5_1
