#pragma once
// AVX-512 with VNNI: four products of bytes and their sum in one instruction.
#include "backends/cpu/isa/int_avx512.h"

namespace megalith::cpu {
namespace {

struct Avx512Vnni : Avx512 {
  static constexpr bool kHasDot4 = true;
  MEGALITH_INLINE Int dot4(Int sum, Int codes, Int x) { return _mm512_dpbusd_epi32(sum, codes, x); }
  /// The compilers do not fold the broadcast into the instruction, which costs a third of a small batch's speed.
  MEGALITH_INLINE Int dot4_broadcast(Int sum, Int codes, const int8_t* x) {
    asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(codes), "m"(*reinterpret_cast<const Four*>(x)));
    return sum;
  }

 private:
  struct Four {
    int8_t codes[4];
  };
};

}  // namespace
}  // namespace megalith::cpu
