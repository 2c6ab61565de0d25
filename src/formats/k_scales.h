#pragma once
// The 6-bit scales and offsets that Q4_K and Q5_K pack into 12 bytes, and the encoding they share.
#include "formats/block_codec.h"

namespace megalith::k_scales {

inline constexpr int kBlockWeights = 256;
inline constexpr size_t kGroups = 8;
using Packed = std::array<uint8_t, 12>;

/// Groups 0-3 keep their 6 bits in bytes 0-3 (scales) and 4-7 (offsets). Groups 4-7 keep their low 4 bits in the
/// nibbles of bytes 8-11 and their high 2 bits on top of bytes 0-7.
inline int scale_code(const Packed& packed, size_t group) {
  if (group < 4) return packed[group] & 0x3f;
  return (packed[group + 4] & 0x0f) | ((packed[group - 4] >> 6) << 4);
}

inline int offset_code(const Packed& packed, size_t group) {
  if (group < 4) return packed[group + 4] & 0x3f;
  return (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4);
}

inline void set_codes(Packed& packed, size_t group, int scale, int offset) {
  const auto put = [&](size_t index, int bits) { packed[index] = static_cast<uint8_t>(packed[index] | bits); };
  if (group < 4) {
    put(group, scale);
    put(group + 4, offset);
  } else {
    put(group + 4, (scale & 0x0f) | ((offset & 0x0f) << 4));
    put(group - 4, (scale >> 4) << 6);
    put(group, (offset >> 4) << 6);
  }
}

/// Header of an encoded block of 256 and the step and offset that each group of 32 then has.
struct Encoded {
  uint16_t scale = 0;   // half, of the scale codes
  uint16_t offset = 0;  // half, of the offset codes
  Packed packed{};
  std::array<float, kGroups> steps{};
  std::array<float, kGroups> offsets{};
};

/// Each group spans its own range, widened to hold 0 (an offset cannot be negative); `levels` is the largest code.
inline Encoded encode_scales(std::span<const float> values, int levels) {
  constexpr int kLargestCode = 63;
  std::array<float, kGroups> steps{};
  std::array<float, kGroups> offsets{};
  for (size_t g = 0; g < kGroups; ++g) {
    const auto [lowest, highest] = block_codec::range_of(values.subspan(g * 32, 32));
    offsets[g] = std::max(0.0f, -lowest);
    steps[g] = (std::max(0.0f, highest) + offsets[g]) / static_cast<float>(levels);
  }
  Encoded encoded;
  encoded.scale = float_to_half(block_codec::range_of(steps).highest / kLargestCode);
  encoded.offset = float_to_half(block_codec::range_of(offsets).highest / kLargestCode);
  const float scale = half_to_float(encoded.scale);
  const float offset = half_to_float(encoded.offset);
  for (size_t g = 0; g < kGroups; ++g) {
    const int step_code = block_codec::nearest_code(steps[g], scale, 0, kLargestCode);
    const int offset_code = block_codec::nearest_code(offsets[g], offset, 0, kLargestCode);
    set_codes(encoded.packed, g, step_code, offset_code);
    encoded.steps[g] = scale * static_cast<float>(step_code);
    encoded.offsets[g] = offset * static_cast<float>(offset_code);
  }
  return encoded;
}

}  // namespace megalith::k_scales
