#pragma once
// NVFP4: 64 weights in 36 bytes; groups of 16, each an unsigned E4M3 scale * E2M1 (ggml-common.h, block_nvfp4). The
// codes are E2M1 doubled and the scales are halved; 4 + 2 significant bits make every weight exact. The float scale of
// a whole tensor that NVFP4 checkpoints carry beside the blocks is a tensor of its own and not part of this format.
#include "formats/codebook.h"

namespace megalith::nvfp4 {

inline constexpr int kBlockWeights = 64;
inline constexpr size_t kGroups = 4;

struct Block {
  std::array<uint8_t, kGroups> scales;                  // E4M3, bias 7; the sign bit means nothing
  std::array<std::array<uint8_t, 8>, kGroups> nibbles;  // of each 16 weights: 0-7 low, 8-15 high
};
static_assert(sizeof(Block) == 36);

inline constexpr uint8_t kLargestScale = 0x7e;  // 448

/// Half of what the E4M3 byte says; 0 for its NaN, 0x7f, as in ggml.
inline float half_scale(uint8_t bits) {
  if (bits == 0x7f) return 0.0f;
  const uint32_t exponent = (bits >> 3) & 0x0fu;
  const uint32_t mantissa = bits & 0x07u;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return std::bit_cast<float>(((exponent + 119u) << 23) | (mantissa << 20));
}

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group / 2, kBlockWeights);
  GroupTerms terms;
  for (size_t half = 0; half < 2; ++half) {
    const size_t g = static_cast<size_t>(group % 2) * 2 + half;
    for (size_t i = 0; i < 16; ++i) {
      const int code = (block.nibbles[g][i % 8] >> (i / 8 * 4)) & 0x0f;
      terms.codes[half * 16 + i] = codebook::entry(codebook::kDoubledE2m1, code);
    }
    terms.scales[half] = half_scale(block.scales[g]);
  }
  terms.offset = 0.0f;
  return terms;
}

/// The scale byte nearest to a step of the doubled codes; the lower of two as near.
inline uint8_t nearest_scale(float step) {
  uint8_t nearest = 0;
  for (uint8_t bits = 1; bits <= kLargestScale; ++bits) {
    if (std::fabs(half_scale(bits) - step) < std::fabs(half_scale(nearest) - step)) nearest = bits;
  }
  return nearest;
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    Block block{};
    for (size_t g = 0; g < kGroups; ++g) {
      const auto part = values.subspan(g * 16, 16);
      block.scales[g] = nearest_scale(std::fabs(block_codec::extreme_of(part)) / codebook::kLargestDoubledE2m1);
      const float step = half_scale(block.scales[g]);
      for (size_t i = 0; i < part.size(); ++i) {
        const int code = codebook::nearest_code(codebook::kDoubledE2m1, part[i], step);
        uint8_t& nibbles = block.nibbles[g][i % 8];
        nibbles = static_cast<uint8_t>(nibbles | (code << (i / 8 * 4)));
      }
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kNVFP4,
    .name = "NVFP4",
    .gguf_type = 40,
    .safetensors_type = "",
    .planes = 1,
    .axis = ContiguousAxis::kK,
    .block_weights = kBlockWeights,
    .block_bytes = sizeof(Block),
    .has_offset = false,
    .has_two_scales = true,
    .terms = terms,
    .decode = block_codec::decode_quantised,
    .encode = encode,
};

}  // namespace megalith::nvfp4
