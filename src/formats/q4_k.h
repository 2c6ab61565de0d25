#pragma once
// Q4_K: 256 weights in 144 bytes; groups of 32, each scale * scale_code * code - offset * offset_code.
#include "formats/k_scales.h"

namespace megalith::q4_k {

inline constexpr int kBlockWeights = k_scales::kBlockWeights;

struct Block {
  uint16_t scale;   // half
  uint16_t offset;  // half
  k_scales::Packed packed;
  std::array<uint8_t, 128> nibbles;
};
static_assert(sizeof(Block) == 144);

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group / 8, kBlockWeights);
  const auto g = static_cast<size_t>(group % 8);
  const size_t shift = g % 2 * 4;  // groups come in pairs: low nibbles, then high nibbles, of the same 32 bytes
  GroupTerms terms;
  for (size_t i = 0; i < 32; ++i) {
    terms.codes[i] = static_cast<int16_t>((block.nibbles[g / 2 * 32 + i] >> shift) & 0x0f);
  }
  // Both products are exact: 11 bits by 6.
  terms.scales.fill(half_to_float(block.scale) * static_cast<float>(k_scales::scale_code(block.packed, g)));
  terms.offset = half_to_float(block.offset) * static_cast<float>(k_scales::offset_code(block.packed, g));
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    const k_scales::Encoded encoded = k_scales::encode_scales(values, 15);
    Block block{};
    block.scale = encoded.scale;
    block.offset = encoded.offset;
    block.packed = encoded.packed;
    for (size_t k = 0; k < kBlockWeights; ++k) {
      const size_t g = k / 32;
      const int code = block_codec::nearest_code(values[k] + encoded.offsets[g], encoded.steps[g], 0, 15);
      uint8_t& nibbles = block.nibbles[g / 2 * 32 + k % 32];
      nibbles = static_cast<uint8_t>(nibbles | ((code & 0x0f) << (g % 2 * 4)));
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kQ4_K,
    .name = "Q4_K",
    .gguf_type = 12,
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

}  // namespace megalith::q4_k
