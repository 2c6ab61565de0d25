#include "base/half.h"

namespace megalith {

float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0x1fu) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  if (mantissa == 0) return std::bit_cast<float>(sign);
  // Subnormal: the value is mantissa * 2^-24, which float holds as a normal number.
  const auto top_bit = static_cast<uint32_t>(31 - std::countl_zero(mantissa));
  return std::bit_cast<float>(sign | ((top_bit + 103) << 23) | ((mantissa << (23 - top_bit)) & 0x7fffffu));
}

namespace {
/// `value` >> `shift`, rounded to nearest, ties to even; 1 <= shift <= 24.
uint32_t shift_right_rounding(uint32_t value, uint32_t shift) {
  const uint32_t half_unit = 1u << (shift - 1);
  const uint32_t kept_is_odd = (value >> shift) & 1u;
  return (value + half_unit - 1 + kept_is_odd) >> shift;
}
}  // namespace

uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t result = 0;
  if (magnitude > 0x7f800000u) {
    result = 0x7e00u | ((magnitude >> 13) & 0x3ffu);  // quiet, payload kept as far as it fits
  } else if (magnitude >= 0x477ff000u) {
    result = 0x7c00u;  // 65520 and above round to infinity
  } else if (magnitude >= 0x38800000u) {
    result = shift_right_rounding(magnitude - (112u << 23), 13);
  } else if (magnitude >= 0x33000000u) {
    // Below 2^-14: a subnormal in units of 2^-24. The carry into 0x400 is the smallest normal, as it should be.
    const uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    result = shift_right_rounding(mantissa, 126 - (magnitude >> 23));
  }
  return static_cast<uint16_t>(sign | result);
}

uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace megalith
