#pragma once
// Q3_K: 256 weights in 110 bytes; groups of 16, each scale * (scale_code - 32) * (code - 4). The 6-bit scale codes are
// folded into the codes: |product| <= 128, and 11 + 5 + 2 significant bits make the product with the scale exact.
#include "formats/q2_k.h"

namespace megalith::q3_k {

inline constexpr int kBlockWeights = 256;

struct Block {
  std::array<uint8_t, 32> third_bits;  // bit g of byte i: weight i of group g of 32
  std::array<uint8_t, 64> pairs;       // low 2 bits of the codes, as in Q2_K
  std::array<uint8_t, 12> packed;      // scale codes
  uint16_t scale;                      // half
};
static_assert(sizeof(Block) == 110);

/// Scale code `g` of 16 (-32 ... 31) keeps its low 4 bits in the nibbles of bytes 0-7 (0-7 low, 8-15 high) and its high
/// 2 bits in byte 8 + g % 4.
inline int scale_code(const Block& block, size_t g) {
  const int low = (block.packed[g % 8] >> (g / 8 * 4)) & 0x0f;
  const int high = (block.packed[8 + g % 4] >> (g / 4 * 2)) & 0x03;
  return (low | (high << 4)) - 32;
}

inline void set_scale_code(Block& block, size_t g, int code) {
  const int bits = code + 32;
  uint8_t& low = block.packed[g % 8];
  uint8_t& high = block.packed[8 + g % 4];
  low = static_cast<uint8_t>(low | ((bits & 0x0f) << (g / 8 * 4)));
  high = static_cast<uint8_t>(high | ((bits >> 4) << (g / 4 * 2)));
}

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group / 8, kBlockWeights);
  const auto g = static_cast<size_t>(group % 8);
  const std::array<int, 2> scale_codes = {scale_code(block, g * 2), scale_code(block, g * 2 + 1)};
  GroupTerms terms;
  for (size_t i = 0; i < 32; ++i) {
    const q2_k::Place place = q2_k::place_of(g * 32 + i);
    const int low = (block.pairs[place.byte] >> place.shift) & 0x03;
    const int third = (block.third_bits[i] >> g) & 1;
    terms.codes[i] = static_cast<int16_t>(scale_codes[i / 16] * ((low | (third << 2)) - 4));
  }
  terms.scales.fill(half_to_float(block.scale));
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    std::array<float, 16> steps{};
    for (size_t g = 0; g < steps.size(); ++g) {
      steps[g] = block_codec::extreme_of(values.subspan(g * 16, 16)) / -4.0f;  // the extreme gets code -4
    }
    Block block{};
    block.scale = float_to_half(std::fabs(block_codec::extreme_of(steps)) / 31.0f);
    const float scale = half_to_float(block.scale);
    for (size_t g = 0; g < steps.size(); ++g) {
      const int group_code = block_codec::nearest_code(steps[g], scale, -31, 31);
      set_scale_code(block, g, group_code);
      const float step = scale * static_cast<float>(group_code);
      for (size_t k = g * 16; k < g * 16 + 16; ++k) {
        const int code = block_codec::nearest_code(values[k], step, -4, 3) + 4;
        const q2_k::Place place = q2_k::place_of(k);
        uint8_t& pairs = block.pairs[place.byte];
        uint8_t& third_bits = block.third_bits[k % 32];
        pairs = static_cast<uint8_t>(pairs | ((code & 0x03) << place.shift));
        third_bits = static_cast<uint8_t>(third_bits | ((code >> 2) << (k / 32)));
      }
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kQ3_K,
    .name = "Q3_K",
    .gguf_type = 11,
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

}  // namespace megalith::q3_k
