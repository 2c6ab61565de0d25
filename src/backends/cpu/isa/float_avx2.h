#pragma once
// Float traits (kernels/vector_math.h) for AVX2, FMA and F16C.
#include <immintrin.h>

#include <cstdint>

namespace megalith::cpu {
namespace {

struct FloatAvx2 {
  static constexpr int kLanes = 8;
  static constexpr int kTileRows = 3;  // 3 x 4 accumulators, a broadcast and loads folded: 16 registers
  static constexpr int kTileVectors = 4;
  using V = __m256;

  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static V load_half(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static float half_value(uint16_t half) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half))); }
  static void store_half(uint16_t* p, V v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static V set(float x) { return _mm256_set1_ps(x); }
  static V zero() { return _mm256_setzero_ps(); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V subtract(V a, V b) { return _mm256_sub_ps(a, b); }
  static V multiply(V a, V b) { return _mm256_mul_ps(a, b); }
  static V divide(V a, V b) { return _mm256_div_ps(a, b); }
  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V negate(V a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0F)); }
  static V maximum(V a, V b) { return _mm256_max_ps(a, b); }
  /// p * 2^n, where `shifted` is n + 1.5 * 2^23: its low bits are n, and its own high bits fall out.
  static V add_exponent(V p, V shifted) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
  }
  static V where_greater(V a, V b, V yes, V no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
  static V where_not_less_equal(V a, V b, V yes, V no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_NLE_UQ));
  }
  static V first_lanes(V v, int count, V other) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane)));
  }
  static V swap_pairs(V a) { return _mm256_permute_ps(a, 0xB1); }
  static float reduce_maximum(V v) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static float reduce_by_halves(V v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static bool all_finite(V v) {
    const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0F), v);
    const __m256 bad = _mm256_cmp_ps(magnitude, _mm256_set1_ps(__FLT_MAX__), _CMP_NLE_UQ);
    return _mm256_movemask_ps(bad) == 0;
  }
};

}  // namespace
}  // namespace megalith::cpu
