#pragma once
// MXFP4: 32 weights in 17 bytes, 2^(exponent - 127) * E2M1 (OCP Microscaling Formats v1.0; ggml-common.h, block_mxfp4).
// The codes are E2M1 doubled and the scale is halved; both are powers of two times small integers, so every weight is
// exact, the denormal ones too.
#include "formats/codebook.h"

namespace megalith::mxfp4 {

inline constexpr int kBlockWeights = 32;

struct Block {
  uint8_t exponent;                 // E8M0
  std::array<uint8_t, 16> nibbles;  // weights 0-15 low, 16-31 high
};
static_assert(sizeof(Block) == 17);

/// 2^(exponent - 128). 2^-128 and 2^-127 are denormal floats. 255, NaN in the specification, is 2^127 here as in ggml.
/// From 253 on the largest weights pass the range of float and decode to infinity, as the reference's do.
inline float half_scale(uint8_t exponent) {
  if (exponent < 2) return std::bit_cast<float>(0x00200000u << exponent);
  return std::bit_cast<float>((exponent - 1u) << 23);
}

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto block = block_codec::load_block<Block>(weight, row, group, kBlockWeights);
  GroupTerms terms;
  for (int i = 0; i < kBlockWeights; ++i) {
    terms.codes[static_cast<size_t>(i)] =
        codebook::entry(codebook::kDoubledE2m1, block_codec::split_nibble(block.nibbles, i));
  }
  terms.scales.fill(half_scale(block.exponent));
  terms.offset = 0.0f;
  return terms;
}

/// Of the smallest 2^n with 6 * 2^n >= largest, so that nothing saturates. (The specification's own choice,
/// the extreme's exponent less two, cuts what lies above 6 * 2^n.)
inline uint8_t exponent_for(float largest) {
  if (largest == 0.0f) return 0;
  int exponent = 0;
  if (std::frexp(largest / 6.0f, &exponent) == 0.5f) --exponent;  // a power of two itself
  return static_cast<uint8_t>(std::clamp(exponent + 127, 0, 254));
}

inline void encode(std::span<const float> weights, std::span<std::byte> out) {
  for (size_t b = 0; b * kBlockWeights < weights.size(); ++b) {
    const auto values = weights.subspan(b * kBlockWeights, kBlockWeights);
    Block block{};
    block.exponent = exponent_for(std::fabs(block_codec::extreme_of(values)));
    const float step = half_scale(block.exponent);
    for (int i = 0; i < kBlockWeights; ++i) {
      const int code = codebook::nearest_code(codebook::kDoubledE2m1, values[static_cast<size_t>(i)], step);
      block_codec::set_split_nibble(block.nibbles, i, code);
    }
    block_codec::store_block(block, out, b);
  }
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kMXFP4,
    .name = "MXFP4",
    .gguf_type = 39,
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

}  // namespace megalith::mxfp4
