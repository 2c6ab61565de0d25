#pragma once
// IEEE half and bfloat16 <-> float, in plain integer arithmetic: the same bits on every machine.
#include <bit>
#include <cstdint>

namespace megalith {

float half_to_float(uint16_t half);
/// Round to nearest, ties to even; overflow gives infinity, a NaN stays a NaN.
uint16_t float_to_half(float value);
inline float bfloat16_to_float(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }
/// Round to nearest, ties to even; a NaN stays a NaN.
uint16_t float_to_bfloat16(float value);

}  // namespace megalith
