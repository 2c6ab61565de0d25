#pragma once
// Q6_K: 256 weights in 210 bytes; groups of 16, each scale * scale_code * (code - 32). The 8-bit scale codes are folded
// into the codes: |scale_code * code| <= 4096, and 11 + 7 + 5 significant bits make the product with the scale exact.
#include "formats/block_codec.h"

namespace megalith::q6_k {

inline constexpr int kBlockWeights = 256;

struct Block {
  std::array<uint8_t, 128> nibbles;  // low 4 bits
  std::array<uint8_t, 64> top_bits;  // high 2 bits
  std::array<int8_t, 16> scale_codes;
  uint16_t scale;  // half
};
static_assert(sizeof(Block) == 210);

/// Where the 6 bits of weight `k` of a block lie. Each half of a block has 64 bytes of nibbles and 32 of top bits; its
/// four groups of 32 are: low nibbles of bytes 0-31, of 32-63, then the high nibbles of both.
struct Place {
  size_t nibble_byte;
  size_t nibble_shift;
  size_t top_byte;
  size_t top_shift;
};

inline Place place_of(size_t k) {
  const size_t half = k / 128;
  const size_t group = k % 128 / 32;
  const size_t i = k % 32;
  return {half * 64 + group % 2 * 32 + i, group / 2 * 4, half * 32 + i, group * 2};
}

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group / 8, kBlockWeights);
  GroupTerms terms;
  for (size_t i = 0; i < 32; ++i) {
    const size_t k = static_cast<size_t>(group % 8) * 32 + i;
    const Place place = place_of(k);
    const int low = (block.nibbles[place.nibble_byte] >> place.nibble_shift) & 0x0f;
    const int high = (block.top_bits[place.top_byte] >> place.top_shift) & 0x03;
    terms.codes[i] = static_cast<int16_t>(block.scale_codes[k / 16] * ((low | (high << 4)) - 32));
  }
  terms.scales.fill(half_to_float(block.scale));
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    Block block{};
    std::array<float, 16> steps{};
    for (size_t s = 0; s < steps.size(); ++s) {
      steps[s] = std::fabs(block_codec::extreme_of(values.subspan(s * 16, 16))) / 31.0f;
    }
    block.scale = float_to_half(block_codec::range_of(steps).highest / 127.0f);
    const float scale = half_to_float(block.scale);
    for (size_t s = 0; s < steps.size(); ++s) {
      block.scale_codes[s] = static_cast<int8_t>(block_codec::nearest_code(steps[s], scale, 0, 127));
    }
    for (size_t k = 0; k < kBlockWeights; ++k) {
      const float step = scale * static_cast<float>(block.scale_codes[k / 16]);
      const int code = block_codec::nearest_code(values[k], step, -32, 31) + 32;
      const Place place = place_of(k);
      uint8_t& nibbles = block.nibbles[place.nibble_byte];
      uint8_t& top_bits = block.top_bits[place.top_byte];
      nibbles = static_cast<uint8_t>(nibbles | ((code & 0x0f) << place.nibble_shift));
      top_bits = static_cast<uint8_t>(top_bits | ((code >> 4) << place.top_shift));
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kQ6_K,
    .name = "Q6_K",
    .gguf_type = 14,
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

}  // namespace megalith::q6_k
