#pragma once
// What the formats of several planes share: words, bit streams and float scales at any address of the mapping.
#include <bit>

#include "formats/block_codec.h"

namespace megalith::planes {

inline constexpr int kWordBits = 32;

/// Word `index` of a plane of 32-bit words: the mapping promises no alignment.
inline uint32_t load_word(std::span<const std::byte> plane, int64_t index) {
  uint32_t word;
  std::memcpy(&word, plane.subspan(static_cast<size_t>(index) * sizeof(word), sizeof(word)).data(), sizeof(word));
  return word;
}

inline void store_word(std::span<std::byte> plane, int64_t index, uint32_t word) {
  std::memcpy(plane.subspan(static_cast<size_t>(index) * sizeof(word), sizeof(word)).data(), &word, sizeof(word));
}

/// `bits` bits from bit `first` of a word on.
constexpr int field(uint32_t word, int first, int bits) {
  return static_cast<int>((word >> first) & ((uint32_t{1} << bits) - 1));
}

inline int64_t divide_up(int64_t value, int64_t by) { return value / by + (value % by != 0 ? 1 : 0); }

inline uint64_t scale_bytes(Format scale_format) { return scale_format == Format::kF32 ? 4 : 2; }

/// Value `index` of a plane of F16, BF16 or F32.
inline float load_scale(std::span<const std::byte> plane, Format scale_format, int64_t index) {
  if (scale_format == Format::kF32) {
    return std::bit_cast<float>(load_word(plane, index));
  }
  uint16_t bits;
  std::memcpy(&bits, plane.subspan(static_cast<size_t>(index) * sizeof(bits), sizeof(bits)).data(), sizeof(bits));
  return scale_format == Format::kF16 ? half_to_float(bits) : bfloat16_to_float(bits);
}

inline void store_scale(std::span<std::byte> plane, Format scale_format, int64_t index, float value) {
  if (scale_format == Format::kF32) return store_word(plane, index, std::bit_cast<uint32_t>(value));
  const uint16_t bits = scale_format == Format::kF16 ? float_to_half(value) : float_to_bfloat16(value);
  std::memcpy(plane.subspan(static_cast<size_t>(index) * sizeof(bits), sizeof(bits)).data(), &bits, sizeof(bits));
}

/// Rounded to what the plane can hold.
inline float stored_scale(Format scale_format, float value) {
  if (scale_format == Format::kF32) return value;
  return scale_format == Format::kF16 ? half_to_float(float_to_half(value))
                                      : bfloat16_to_float(float_to_bfloat16(value));
}

/// Sets the `bits` bits from bit `first` of a word on; they are 0 before.
inline void set_field(std::span<std::byte> plane, int64_t word, int first, int code) {
  store_word(plane, word, load_word(plane, word) | (static_cast<uint32_t>(code) << first));
}

/// scale * (code - zero_point) for the values of a group, of codes 0 to `largest_code`.
struct ZeroPointScale {
  float scale;
  int zero_point;
};

inline ZeroPointScale zero_point_scale(std::span<const float> values, int largest_code, Format scale_format) {
  const auto [lowest, highest] = block_codec::range_of(values);
  const float below = std::min(lowest, 0.0f);  // 0 has a code of its own
  const float scale = stored_scale(scale_format, (std::max(highest, 0.0f) - below) / static_cast<float>(largest_code));
  return {scale, block_codec::nearest_code(-below, scale, 0, largest_code)};
}

/// factors[0] * factors[1] * factors[2]; UINT64_MAX if that overflows.
inline uint64_t product(std::array<uint64_t, 3> factors) {
  uint64_t total = 1;
  for (const uint64_t factor : factors) {
    if (__builtin_mul_overflow(total, factor, &total)) return UINT64_MAX;
  }
  return total;
}

}  // namespace megalith::planes
