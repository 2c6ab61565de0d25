#pragma once
// Pieces that all x86 vector sets share (AVX2 and F16C are part of each).
#include <immintrin.h>

#include "backends/cpu/kernels/inline.h"
#include "backends/cpu/kernels/linear_kernels.h"

namespace megalith::cpu {
namespace {

MEGALITH_INLINE __m128i load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

/// Shuffle control that copies byte b of each 32-bit lane to all four of its bytes.
template <int b>
MEGALITH_INLINE __m128i byte_of_each_lane() {
  constexpr int kLane = b * 0x01010101;
  return _mm_setr_epi32(kLane, kLane + 0x04040404, kLane + 0x08080808, kLane + 0x0C0C0C0C);
}

/// The last steps of the reduction by halves: 8 -> 4 -> 2 -> 1.
MEGALITH_INLINE float reduce8(__m256 v) {
  const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
  return _mm_cvtss_f32(_mm_add_ss(by2, _mm_shuffle_ps(by2, by2, 1)));
}

/// QuantiseKernel, 8 lanes at a time: too short a loop for wider vectors to matter.
bool quantise_x86(const float* row, int64_t n_groups, ActivationGroup* groups, int64_t stride) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  const __m256 greatest = _mm256_set1_ps(3.4028234663852886e38F);
  __m256 finite = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
  for (int64_t g = 0; g < n_groups; ++g) {
    __m256 x[4];
    __m256 largest = _mm256_setzero_ps();
    for (int i = 0; i < 4; ++i) {
      x[i] = _mm256_loadu_ps(row + g * 32 + i * 8);
      const __m256 magnitude = _mm256_andnot_ps(sign, x[i]);
      finite = _mm256_and_ps(finite, _mm256_cmp_ps(magnitude, greatest, _CMP_LE_OQ));
      largest = _mm256_max_ps(largest, magnitude);
    }
    __m128 top = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
    top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    top = _mm_max_ss(top, _mm_shuffle_ps(top, top, 1));
    const float amax = _mm_cvtss_f32(top);
    const float quotient = 127.0F / amax;
    const bool zero = amax == 0.0F || quotient > 3.4028234663852886e38F;
    const __m256 inverse = _mm256_set1_ps(zero ? 0.0F : quotient);
    __m256i v[4];
    for (int i = 0; i < 4; ++i) v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(x[i], inverse));
    // The packs work within 128-bit halves; the permutation puts the dwords back in order.
    const __m256i packed =
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3])),
                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), packed);
    const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));  // lanes 0-3: codes 0-15
    __m256i sums = _mm256_hadd_epi32(quads, quads);
    sums = _mm256_hadd_epi32(sums, sums);
    ActivationGroup& group = groups[g * stride];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(group.codes), packed);
    group.half_sums[0] = _mm256_extract_epi32(sums, 0);
    group.half_sums[1] = _mm256_extract_epi32(sums, 4);
    group.sum = group.half_sums[0] + group.half_sums[1];
    group.scale = zero ? 0.0F : amax / 127.0F;
    group.scaled_sum = group.scale * static_cast<float>(group.sum);
  }
  return _mm256_movemask_ps(finite) == 0xFF;
}

}  // namespace
}  // namespace megalith::cpu
