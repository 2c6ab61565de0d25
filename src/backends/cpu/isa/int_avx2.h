#pragma once
// AVX2 with FMA and F16C: the vectors that matmul kernels are written in. One lane of 32 bits for each row of a tile.
#include <immintrin.h>

#include "backends/cpu/isa/int_x86.h"
#include "backends/cpu/kernels/row_cursor.h"

namespace megalith::cpu {
namespace {

struct Avx2 {
  using Int = __m256i;
  using Float = __m256;
  static constexpr int kLanes = 8;
  using Cursor = RowCursor<kLanes>;
  static constexpr bool kHasDot4 = false;
  static constexpr int kDirectTokens = 4;
  static constexpr int kRowVectors = 2;      // of a prefill tile whose sums take one register each
  static constexpr int kWideRowVectors = 1;  // where a second one holds the int16 sums
  static constexpr int kFloatDecodeRows = 2;
  static constexpr int kFloatTileRows = 1;
  static constexpr int kFloatTileTokens = 3;

  MEGALITH_INLINE Int load(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
  MEGALITH_INLINE void store(void* p, Int v) { _mm256_store_si256(static_cast<__m256i*>(p), v); }
  MEGALITH_INLINE Int zero() { return _mm256_setzero_si256(); }
  MEGALITH_INLINE Int set8(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
  MEGALITH_INLINE Int set32(int v) { return _mm256_set1_epi32(v); }
  MEGALITH_INLINE Int broadcast(const void* p) {
    int32_t value;
    __builtin_memcpy(&value, p, sizeof value);
    return _mm256_set1_epi32(value);
  }
  MEGALITH_INLINE Int broadcast(Int v) { return v; }
  MEGALITH_INLINE Int bit_and(Int a, Int b) { return _mm256_and_si256(a, b); }
  MEGALITH_INLINE Int bit_or(Int a, Int b) { return _mm256_or_si256(a, b); }
  MEGALITH_INLINE Int bit_xor(Int a, Int b) { return _mm256_xor_si256(a, b); }
  /// (a & mask) | b
  MEGALITH_INLINE Int masked_or(Int a, Int mask, Int b) { return bit_or(bit_and(a, mask), b); }
  template <int n>
  MEGALITH_INLINE Int left(Int v) {
    return n == 0 ? v : _mm256_slli_epi32(v, n);
  }
  template <int n>
  MEGALITH_INLINE Int right(Int v) {
    return n == 0 ? v : _mm256_srli_epi32(v, n);
  }
  template <int n>
  MEGALITH_INLINE Int right_signed(Int v) {
    return _mm256_srai_epi32(v, n);
  }
  /// The high half of each lane of a, then the low half of b's.
  MEGALITH_INLINE Int join_halves(Int a, Int b) {
    return _mm256_blend_epi16(_mm256_srli_epi32(a, 16), _mm256_slli_epi32(b, 16), 0xAA);
  }
  MEGALITH_INLINE Int add32(Int a, Int b) { return _mm256_add_epi32(a, b); }
  MEGALITH_INLINE Int sub32(Int a, Int b) { return _mm256_sub_epi32(a, b); }
  MEGALITH_INLINE Int add16(Int a, Int b) { return _mm256_add_epi16(a, b); }
  MEGALITH_INLINE Int madd8(Int codes, Int x) { return _mm256_maddubs_epi16(codes, x); }
  MEGALITH_INLINE Int madd16(Int a, Int b) { return _mm256_madd_epi16(a, b); }
  MEGALITH_INLINE Int ones16() { return _mm256_set1_epi16(1); }
  /// Signed 8-bit codes as magnitudes and signs; products of magnitudes up to 128 and |x| <= 127 fit int16 in pairs.
  struct SignedCodes {
    Int magnitude;
    Int codes;
  };
  MEGALITH_INLINE SignedCodes split_sign(Int codes) { return {_mm256_abs_epi8(codes), codes}; }
  MEGALITH_INLINE Int madd8_signed(SignedCodes codes, Int x) {
    return _mm256_maddubs_epi16(codes.magnitude, _mm256_sign_epi8(x, codes.codes));
  }
  /// Keeps the compiler from rearranging sums, which would spill a tile.
  MEGALITH_INLINE void pin(Int& v) { asm("" : "+x"(v)); }

  /// Each 32-bit lane of `bits` holds the fifth bits of its row's 32 weights; returns 0x10 in the bytes of weights
  /// 4 c ... 4 c + 3 where they are set, or-ed to `low`.
  template <int c>
  MEGALITH_INLINE Int with_fifth_bits(Int low, Int bits) {
    const Int spread = _mm256_shuffle_epi8(bits, _mm256_broadcastsi128_si256(byte_of_each_lane<c / 2>()));
    const Int one_bit = set32(c % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
    const Int is_set = _mm256_cmpeq_epi8(bit_and(spread, one_bit), one_bit);
    return masked_or(is_set, set8(0x10), low);
  }

  MEGALITH_INLINE Float load_float(const float* p) { return _mm256_loadu_ps(p); }
  MEGALITH_INLINE void store_float(float* p, Float v) { _mm256_storeu_ps(p, v); }
  MEGALITH_INLINE Float broadcast_float(const float* p) { return _mm256_broadcast_ss(p); }
  MEGALITH_INLINE Float zero_float() { return _mm256_setzero_ps(); }
  MEGALITH_INLINE Float to_float(Int v) { return _mm256_cvtepi32_ps(v); }
  MEGALITH_INLINE Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  MEGALITH_INLINE Float mul(Float a, Float b) { return _mm256_mul_ps(a, b); }
  MEGALITH_INLINE Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  MEGALITH_INLINE Float negate(Float v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0F)); }
  MEGALITH_INLINE Float half_low(Int v) {
    const Int low = bit_and(v, set32(0xFFFF));
    const Int packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
  }
  MEGALITH_INLINE Float half_high(Int v) { return half_low(right<16>(v)); }
  MEGALITH_INLINE Float load_half(const uint8_t* p) { return _mm256_cvtph_ps(load16(p)); }
  MEGALITH_INLINE Float load_bfloat16(const uint8_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(p)), 16));
  }
  /// Lanes below n from a, the others from b.
  MEGALITH_INLINE Float first_lanes(int64_t n, Float a, Float b) {
    const Int lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const Int below = _mm256_cmpgt_epi32(set32(static_cast<int>(n)), lane);
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(below));
  }
  /// The reduction by halves of 32 accumulators (docs/numerics.md).
  MEGALITH_INLINE float reduce(const Float (&sums)[4]) {
    return reduce8(_mm256_add_ps(_mm256_add_ps(sums[0], sums[2]), _mm256_add_ps(sums[1], sums[3])));
  }

  /// out[c], lane r = bytes [offset + 4 c, offset + 4 c + 4) of row r.
  MEGALITH_INLINE void transpose(const Cursor& rows, int64_t offset, Int (&out)[4]) {
    Int v[4];
    for (int j = 0; j < 4; ++j) {
      v[j] = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(rows.row(0, j) + offset)),
                                     load16(rows.row(1, j) + offset), 1);
    }
    const Int low01 = _mm256_unpacklo_epi32(v[0], v[1]);
    const Int high01 = _mm256_unpackhi_epi32(v[0], v[1]);
    const Int low23 = _mm256_unpacklo_epi32(v[2], v[3]);
    const Int high23 = _mm256_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm256_unpacklo_epi64(low01, low23);
    out[1] = _mm256_unpackhi_epi64(low01, low23);
    out[2] = _mm256_unpacklo_epi64(high01, high23);
    out[3] = _mm256_unpackhi_epi64(high01, high23);
  }
};

}  // namespace
}  // namespace megalith::cpu
