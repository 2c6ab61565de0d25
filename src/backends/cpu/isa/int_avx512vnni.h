#pragma once
// AVX-512 with VNNI: four products of bytes and their sum in one instruction.
#include "backends/cpu/isa/int_avx512.h"

namespace megalith::cpu {
namespace {

struct Avx512Vnni : Avx512 {
  static constexpr bool kHasDot4 = true;
  MEGALITH_INLINE Int dot4(Int sum, Int codes, Int x) { return _mm512_dpbusd_epi32(sum, codes, x); }
};

}  // namespace
}  // namespace megalith::cpu
