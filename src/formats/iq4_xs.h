#pragma once
// IQ4_XS: 256 weights in 136 bytes; groups of 32, each scale * (scale_code - 32) * entry of IQ4_NL's codebook.
#include "formats/codebook.h"

namespace megalith::iq4_xs {

inline constexpr int kBlockWeights = 256;
inline constexpr size_t kGroups = 8;

struct Block {
  uint16_t scale;                                        // half
  uint16_t high_bits;                                    // bits 2g, 2g + 1: high 2 bits of scale code g
  std::array<uint8_t, 4> low_bits;                       // nibble g: its low 4 bits
  std::array<std::array<uint8_t, 16>, kGroups> nibbles;  // of each group: weights 0-15 low, 16-31 high
};
static_assert(sizeof(Block) == 136);

inline int scale_code(const Block& block, size_t g) {
  const int low = (block.low_bits[g / 2] >> (g % 2 * 4)) & 0x0f;
  const int high = (block.high_bits >> (g * 2)) & 0x03;
  return (low | (high << 4)) - 32;
}

inline void set_scale_code(Block& block, size_t g, int code) {
  const int bits = code + 32;
  block.low_bits[g / 2] = static_cast<uint8_t>(block.low_bits[g / 2] | ((bits & 0x0f) << (g % 2 * 4)));
  block.high_bits = static_cast<uint16_t>(block.high_bits | ((bits >> 4) << (g * 2)));
}

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group / 8, kBlockWeights);
  const auto g = static_cast<size_t>(group % 8);
  GroupTerms terms;
  for (int i = 0; i < 32; ++i) {
    terms.codes[static_cast<size_t>(i)] =
        codebook::entry(codebook::kIq4, block_codec::split_nibble(block.nibbles[g], i));
  }
  terms.scales.fill(half_to_float(block.scale) * static_cast<float>(scale_code(block, g)));  // exact: 11 bits by 6
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    std::array<float, kGroups> steps{};
    for (size_t g = 0; g < kGroups; ++g) {
      steps[g] = block_codec::extreme_of(values.subspan(g * 32, 32)) / -127.0f;  // the extreme gets the entry -127
    }
    Block block{};
    block.scale = float_to_half(std::fabs(block_codec::extreme_of(steps)) / 31.0f);
    const float scale = half_to_float(block.scale);
    for (size_t g = 0; g < kGroups; ++g) {
      const int group_code = block_codec::nearest_code(steps[g], scale, -31, 31);
      set_scale_code(block, g, group_code);
      const float step = scale * static_cast<float>(group_code);
      for (int i = 0; i < 32; ++i) {
        const float value = values[g * 32 + static_cast<size_t>(i)];
        block_codec::set_split_nibble(block.nibbles[g], i, codebook::nearest_code(codebook::kIq4, value, step));
      }
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kIQ4_XS,
    .name = "IQ4_XS",
    .gguf_type = 23,
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

}  // namespace megalith::iq4_xs
