#pragma once
// What the block formats of GGUF share: one plane, blocks along K, row after row.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "formats/format_table.h"

namespace megalith::block_codec {

/// `decode` of every quantised format, written once over its terms: fl(fl(scale * code) - fl(offset * offset_code)).
void decode_quantised(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out);

/// A copy of block `index` of a row: the mapping promises no alignment.
template <typename Block>
Block load_block(const WeightView& weight, int64_t row, int64_t index, int block_weights) {
  Block block;
  const int64_t blocks_per_row = weight.columns / block_weights;
  const auto offset_bytes = static_cast<size_t>(row * blocks_per_row + index) * sizeof(Block);
  std::memcpy(&block, weight.planes[0].subspan(offset_bytes, sizeof(Block)).data(), sizeof(Block));
  return block;
}

template <typename Block>
void store_block(const Block& block, std::span<std::byte> out, size_t index) {
  std::memcpy(out.subspan(index * sizeof(Block), sizeof(Block)).data(), &block, sizeof(Block));
}

struct Range {
  float lowest;
  float highest;
};

inline Range range_of(std::span<const float> values) {
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  return {*lowest, *highest};
}

/// The value of largest magnitude, with its sign.
inline float extreme_of(std::span<const float> values) {
  return *std::max_element(values.begin(), values.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

/// value / step, rounded to nearest and held within [lowest, highest]; 0 (or what is nearest to it) if the step is 0.
inline int nearest_code(float value, float step, int lowest, int highest) {
  if (step == 0.0f) return std::clamp(0, lowest, highest);
  return static_cast<int>(
      std::clamp(std::nearbyint(value / step), static_cast<float>(lowest), static_cast<float>(highest)));
}

/// Code `i` of 32 packed as in Q4_0, Q4_1, Q5_0, Q5_1: the first 16 in the low nibbles, the last 16 in the high ones.
inline int split_nibble(const std::array<uint8_t, 16>& nibbles, int i) {
  return i < 16 ? nibbles[static_cast<size_t>(i)] & 0x0f : nibbles[static_cast<size_t>(i - 16)] >> 4;
}

inline void set_split_nibble(std::array<uint8_t, 16>& nibbles, int i, int code) {
  uint8_t& byte = nibbles[static_cast<size_t>(i % 16)];
  byte = static_cast<uint8_t>(byte | ((code & 0x0f) << (i < 16 ? 0 : 4)));
}

/// Bit `i` of 32, little-endian, as in Q5_0 and Q5_1.
inline int fifth_bit(const std::array<uint8_t, 4>& bits, int i) {
  return (bits[static_cast<size_t>(i / 8)] >> (i % 8)) & 1;
}

inline void set_fifth_bit(std::array<uint8_t, 4>& bits, int i, int code) {
  uint8_t& byte = bits[static_cast<size_t>(i / 8)];
  byte = static_cast<uint8_t>(byte | (((code >> 4) & 1) << (i % 8)));
}

}  // namespace megalith::block_codec
