#pragma once
// AVX-512 (F, BW, VL, DQ): the vectors that matmul kernels are written in. One lane of 32 bits for each row of a tile.
#include <immintrin.h>

#include "backends/cpu/isa/int_x86.h"
#include "backends/cpu/kernels/row_cursor.h"

namespace megalith::cpu {
namespace {

struct Avx512 {
  using Int = __m512i;
  using Float = __m512;
  static constexpr int kLanes = 16;
  using Cursor = RowCursor<kLanes>;
  static constexpr bool kHasDot4 = false;
  static constexpr int kDirectTokens = 8;  // whose sums fit the registers beside a group's codes
  static constexpr int kRowVectors = 2;    // of a prefill tile: 32 rows
  static constexpr int kWideRowVectors = 2;
  static constexpr int kFloatDecodeRows = 8;
  static constexpr int kFloatTileRows = 4;
  static constexpr int kFloatTileTokens = 3;

  MEGALITH_INLINE Int load(const void* p) { return _mm512_load_si512(p); }
  MEGALITH_INLINE void store(void* p, Int v) { _mm512_store_si512(p, v); }
  MEGALITH_INLINE Int zero() { return _mm512_setzero_si512(); }
  MEGALITH_INLINE Int set8(int v) { return _mm512_set1_epi8(static_cast<char>(v)); }
  MEGALITH_INLINE Int set32(int v) { return _mm512_set1_epi32(v); }
  MEGALITH_INLINE Int broadcast(const void* p) {
    int32_t value;
    __builtin_memcpy(&value, p, sizeof value);
    return _mm512_set1_epi32(value);
  }
  MEGALITH_INLINE Int broadcast(Int v) { return v; }
  MEGALITH_INLINE Int bit_and(Int a, Int b) { return _mm512_and_si512(a, b); }
  MEGALITH_INLINE Int bit_or(Int a, Int b) { return _mm512_or_si512(a, b); }
  MEGALITH_INLINE Int bit_xor(Int a, Int b) { return _mm512_xor_si512(a, b); }
  /// (a & mask) | b
  MEGALITH_INLINE Int masked_or(Int a, Int mask, Int b) { return _mm512_ternarylogic_epi32(a, mask, b, 0xEA); }
  template <int n>
  MEGALITH_INLINE Int left(Int v) {
    return n == 0 ? v : _mm512_slli_epi32(v, n);
  }
  template <int n>
  MEGALITH_INLINE Int right(Int v) {
    return n == 0 ? v : _mm512_srli_epi32(v, n);
  }
  template <int n>
  MEGALITH_INLINE Int right_signed(Int v) {
    return _mm512_srai_epi32(v, n);
  }
  /// The high half of each lane of a, then the low half of b's.
  MEGALITH_INLINE Int join_halves(Int a, Int b) {
    const Int low_to_high = _mm512_set1_epi32(0x01008080);
    return _mm512_mask_shuffle_epi8(_mm512_srli_epi32(a, 16), 0xCCCCCCCCCCCCCCCC, b,
                                    _mm512_or_si512(low_to_high, lane_starts()));
  }
  MEGALITH_INLINE Int lane_starts() {
    return _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C));
  }
  MEGALITH_INLINE Int add32(Int a, Int b) { return _mm512_add_epi32(a, b); }
  MEGALITH_INLINE Int sub32(Int a, Int b) { return _mm512_sub_epi32(a, b); }
  MEGALITH_INLINE Int add16(Int a, Int b) { return _mm512_add_epi16(a, b); }
  MEGALITH_INLINE Int madd8(Int codes, Int x) { return _mm512_maddubs_epi16(codes, x); }
  MEGALITH_INLINE Int madd16(Int a, Int b) { return _mm512_madd_epi16(a, b); }
  MEGALITH_INLINE Int ones16() { return _mm512_set1_epi16(1); }
  /// Signed 8-bit codes as magnitudes and signs; products of magnitudes up to 128 and |x| <= 127 fit int16 in pairs.
  struct SignedCodes {
    Int magnitude;
    __mmask64 negative;
  };
  MEGALITH_INLINE SignedCodes split_sign(Int codes) { return {_mm512_abs_epi8(codes), _mm512_movepi8_mask(codes)}; }
  MEGALITH_INLINE Int madd8_signed(SignedCodes codes, Int x) {
    return _mm512_maddubs_epi16(codes.magnitude, _mm512_mask_sub_epi8(x, codes.negative, zero(), x));
  }
  /// Keeps the compiler from rearranging sums, which would spill a tile.
  MEGALITH_INLINE void pin(Int& v) { asm("" : "+v"(v)); }

  /// Each 32-bit lane of `bits` holds the fifth bits of its row's 32 weights; returns 0x10 in the bytes of weights
  /// 4 c ... 4 c + 3 where they are set, or-ed to `low`.
  template <int c>
  MEGALITH_INLINE Int with_fifth_bits(Int low, Int bits) {
    const Int spread = _mm512_shuffle_epi8(bits, _mm512_broadcast_i32x4(byte_of_each_lane<c / 2>()));
    const Int one_bit = set32(c % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
    return _mm512_mask_add_epi8(low, _mm512_test_epi8_mask(spread, one_bit), low, set8(0x10));
  }

  MEGALITH_INLINE Float load_float(const float* p) { return _mm512_loadu_ps(p); }
  MEGALITH_INLINE void store_float(float* p, Float v) { _mm512_storeu_ps(p, v); }
  MEGALITH_INLINE Float broadcast_float(const float* p) { return _mm512_set1_ps(*p); }
  MEGALITH_INLINE Float zero_float() { return _mm512_setzero_ps(); }
  MEGALITH_INLINE Float to_float(Int v) { return _mm512_cvtepi32_ps(v); }
  MEGALITH_INLINE Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  MEGALITH_INLINE Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
  MEGALITH_INLINE Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  MEGALITH_INLINE Float negate(Float v) { return _mm512_xor_ps(v, _mm512_set1_ps(-0.0F)); }
  MEGALITH_INLINE Float half_low(Int v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }
  MEGALITH_INLINE Float half_high(Int v) { return half_low(_mm512_srli_epi32(v, 16)); }
  MEGALITH_INLINE Float load_half(const uint8_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  MEGALITH_INLINE Float load_bfloat16(const uint8_t* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  /// Lanes below n from a, the others from b.
  MEGALITH_INLINE Float first_lanes(int64_t n, Float a, Float b) {
    const auto mask = static_cast<__mmask16>(n >= kLanes ? 0xFFFF : n <= 0 ? 0 : (1 << n) - 1);
    return _mm512_mask_blend_ps(mask, b, a);
  }
  /// The reduction by halves of 32 accumulators (docs/numerics.md).
  MEGALITH_INLINE float reduce(const Float (&sums)[2]) {
    const Float by16 = _mm512_add_ps(sums[0], sums[1]);
    return reduce8(_mm256_add_ps(_mm512_castps512_ps256(by16), _mm512_extractf32x8_ps(by16, 1)));
  }

  /// out[c], lane r = bytes [offset + 4 c, offset + 4 c + 4) of row r.
  MEGALITH_INLINE void transpose(const Cursor& rows, int64_t offset, Int (&out)[4]) {
    Int v[4];
    for (int j = 0; j < 4; ++j) {
      v[j] = _mm512_castsi128_si512(load16(rows.row(0, j) + offset));
      v[j] = _mm512_inserti32x4(v[j], load16(rows.row(1, j) + offset), 1);
      v[j] = _mm512_inserti32x4(v[j], load16(rows.row(2, j) + offset), 2);
      v[j] = _mm512_inserti32x4(v[j], load16(rows.row(3, j) + offset), 3);
    }
    const Int low01 = _mm512_unpacklo_epi32(v[0], v[1]);
    const Int high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    const Int low23 = _mm512_unpacklo_epi32(v[2], v[3]);
    const Int high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm512_unpacklo_epi64(low01, low23);
    out[1] = _mm512_unpackhi_epi64(low01, low23);
    out[2] = _mm512_unpacklo_epi64(high01, high23);
    out[3] = _mm512_unpackhi_epi64(high01, high23);
  }
};

}  // namespace
}  // namespace megalith::cpu
