#pragma once
// Q2_K: 256 weights in 84 bytes; groups of 16, each scale * scale_code * code - offset * offset_code. The 4-bit scale
// codes are folded into the 2-bit codes: at most 45, and 11 + 4 + 2 significant bits make the product with the scale
// exact. The 4-bit offset codes are GroupTerms' offset codes.
#include "formats/block_codec.h"

namespace megalith::q2_k {

inline constexpr int kBlockWeights = 256;

struct Block {
  std::array<uint8_t, 16> group_codes;  // of each 16 weights: scale code low, offset code high
  std::array<uint8_t, 64> pairs;        // 2-bit codes
  uint16_t scale;                       // half
  uint16_t offset;                      // half
};
static_assert(sizeof(Block) == 84);

/// Where the 2 bits of weight `k` lie: each half of a block has 32 bytes, whose bits 0-1, 2-3, 4-5, 6-7 are its four
/// groups of 32. Q3_K keeps its low bits in the same places.
struct Place {
  size_t byte;
  size_t shift;
};

inline Place place_of(size_t k) { return {k / 128 * 32 + k % 32, k % 128 / 32 * 2}; }

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group / 8, kBlockWeights);
  const size_t first = static_cast<size_t>(group % 8) * 32;
  GroupTerms terms;
  for (size_t i = 0; i < 32; ++i) {
    const Place place = place_of(first + i);
    const int code = (block.pairs[place.byte] >> place.shift) & 0x03;
    terms.codes[i] = static_cast<int16_t>((block.group_codes[(first + i) / 16] & 0x0f) * code);
  }
  terms.scales.fill(half_to_float(block.scale));
  terms.offset = half_to_float(block.offset);
  for (size_t half = 0; half < 2; ++half) {
    terms.offset_codes[half] = static_cast<int16_t>(block.group_codes[first / 16 + half] >> 4);
  }
  return terms;
}

/// Each 16 weights span their own range, widened to hold 0 (an offset cannot be negative).
inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  constexpr size_t kGroups = 16;
  constexpr int kLargestGroupCode = 15;
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    std::array<float, kGroups> steps{};
    std::array<float, kGroups> offsets{};
    for (size_t g = 0; g < kGroups; ++g) {
      const auto [lowest, highest] = block_codec::range_of(values.subspan(g * 16, 16));
      offsets[g] = std::max(0.0f, -lowest);
      steps[g] = (std::max(0.0f, highest) + offsets[g]) / 3.0f;
    }
    Block block{};
    block.scale = float_to_half(block_codec::range_of(steps).highest / kLargestGroupCode);
    block.offset = float_to_half(block_codec::range_of(offsets).highest / kLargestGroupCode);
    const float scale = half_to_float(block.scale);
    const float offset = half_to_float(block.offset);
    for (size_t g = 0; g < kGroups; ++g) {
      const int scale_code = block_codec::nearest_code(steps[g], scale, 0, kLargestGroupCode);
      const int offset_code = block_codec::nearest_code(offsets[g], offset, 0, kLargestGroupCode);
      block.group_codes[g] = static_cast<uint8_t>(scale_code | (offset_code << 4));
      for (size_t k = g * 16; k < g * 16 + 16; ++k) {
        const int code = block_codec::nearest_code(values[k] + offset * static_cast<float>(offset_code),
                                                   scale * static_cast<float>(scale_code), 0, 3);
        const Place place = place_of(k);
        block.pairs[place.byte] = static_cast<uint8_t>(block.pairs[place.byte] | (code << place.shift));
      }
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kQ2_K,
    .name = "Q2_K",
    .gguf_type = 10,
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

}  // namespace megalith::q2_k
