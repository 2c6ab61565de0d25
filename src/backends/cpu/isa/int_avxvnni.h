#pragma once
// AVX2 with AVX-VNNI: four products of bytes and their sum in one instruction.
#include "backends/cpu/isa/int_avx2.h"

namespace megalith::cpu {
namespace {

struct AvxVnni : Avx2 {
  static constexpr bool kHasDot4 = true;
  static constexpr int kWideRowVectors = 2;
  MEGALITH_INLINE Int dot4(Int sum, Int codes, Int x) { return _mm256_dpbusd_avx_epi32(sum, codes, x); }
  MEGALITH_INLINE Int dot4_broadcast(Int sum, Int codes, const int8_t* x) { return dot4(sum, codes, broadcast(x)); }
};

}  // namespace
}  // namespace megalith::cpu
