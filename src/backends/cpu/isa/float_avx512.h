#pragma once
// Float traits (kernels/vector_math.h) for AVX-512 F, BW, DQ, VL.
#include <immintrin.h>

#include <cstdint>

namespace megalith::cpu {
namespace {

struct FloatAvx512 {
  static constexpr int kLanes = 16;
  static constexpr int kTileRows = 6;  // 6 x 4 accumulators, 4 loads and a broadcast: 29 of 32 registers
  static constexpr int kTileVectors = 4;
  using V = __m512;

  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static V load_half(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static float half_value(uint16_t half) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half))); }
  static void store_half(uint16_t* p, V v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static V set(float x) { return _mm512_set1_ps(x); }
  static V zero() { return _mm512_setzero_ps(); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V subtract(V a, V b) { return _mm512_sub_ps(a, b); }
  static V multiply(V a, V b) { return _mm512_mul_ps(a, b); }
  static V divide(V a, V b) { return _mm512_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V negate(V a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0F)); }
  static V maximum(V a, V b) { return _mm512_max_ps(a, b); }
  /// p * 2^n, where `shifted` is n + 1.5 * 2^23: its low bits are n, and its own high bits fall out.
  static V add_exponent(V p, V shifted) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), exponent));
  }
  static V where_greater(V a, V b, V yes, V no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
  }
  static V where_not_less_equal(V a, V b, V yes, V no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_NLE_UQ), no, yes);
  }
  static V first_lanes(V v, int count, V other) {
    const auto mask = static_cast<__mmask16>(count >= kLanes ? 0xFFFF : count <= 0 ? 0 : (1 << count) - 1);
    return _mm512_mask_blend_ps(mask, other, v);
  }
  static V swap_pairs(V a) { return _mm512_permute_ps(a, 0xB1); }
  static float reduce_maximum(V v) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static float reduce_by_halves(V v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static bool all_finite(V v) {
    constexpr int kNanOrInfinity = 0x01 | 0x08 | 0x10 | 0x80;
    return _mm512_fpclass_ps_mask(v, kNanOrInfinity) == 0;
  }
};

}  // namespace
}  // namespace megalith::cpu
