#pragma once
// The matmul kernels of one instruction set: each isa/<set>.cpp instantiates this once.
#include "backends/cpu/formats/q4_0.h"
#include "backends/cpu/formats/q4_1.h"
#include "backends/cpu/formats/q4_k.h"
#include "backends/cpu/formats/q5_0.h"
#include "backends/cpu/formats/q5_1.h"
#include "backends/cpu/formats/q5_k.h"
#include "backends/cpu/formats/q6_k.h"
#include "backends/cpu/formats/q8_0.h"
#include "backends/cpu/kernels/linear_float.h"
#include "backends/cpu/kernels/linear_quantised.h"

namespace megalith::cpu {

/// The multiply instructions of a kind of code, on registers only: the arithmetic peak that prefill is measured by.
template <class V, int kBits>
double dot_peak(int64_t iterations, int32_t* sink) {
  using Int = typename V::Int;
  constexpr int kRowVectors = 2;
  Int codes[kRowVectors] = {V::set8(1), V::set8(2)};
  Int x[2] = {V::set8(3), V::set8(-1)};
  Int sums[kRowVectors][kTileTokens];
  for (auto& row : sums) {
    for (Int& sum : row) sum = V::zero();
  }
  for (int64_t i = 0; i < iterations; ++i) {
    // Pinned at each use, or the compiler would see equal products and compute one.
    dot_tile<V, kBits, 8>(
        [&](int r, int) MEGALITH_INLINE_LAMBDA {
          V::pin(codes[r]);
          return codes[r];
        },
        [&](int t, int) MEGALITH_INLINE_LAMBDA {
          V::pin(x[t % 2]);
          return x[t % 2];
        },
        sums);
    for (auto& row : sums) {
      for (Int& sum : row) V::pin(sum);
    }
  }
  alignas(64) int32_t lanes[V::kLanes];
  for (auto& row : sums) {
    for (const Int& sum : row) {
      V::store(lanes, sum);
      for (const int32_t lane : lanes) *sink = static_cast<int32_t>(static_cast<uint32_t>(*sink) + lane);
    }
  }
  return static_cast<double>(iterations) * kRowVectors * kTileTokens * 32 * V::kLanes;
}

template <class V>
double fma_peak(int64_t iterations, int32_t* sink) {
  using Float = typename V::Float;
  constexpr int kSums = 12;
  alignas(64) float lanes[V::kLanes];
  for (float& lane : lanes) lane = static_cast<float>(*sink % 2);
  const Float a = V::load_float(lanes);
  Float sums[kSums];
  for (Float& sum : sums) sum = a;
  for (int64_t i = 0; i < iterations; ++i) {
    for (Float& sum : sums) sum = V::fma(sum, a, a);
  }
  for (const Float& sum : sums) {
    V::store_float(lanes, sum);
    for (const float lane : lanes) *sink += lane > 1.0F ? 1 : 0;
  }
  return static_cast<double>(iterations) * kSums * V::kLanes;
}

template <class V>
struct LinearTable {
  static constexpr FormatKernel kFormats[] = {
      {Format::kF32, linear_float<V, WeightsF32<V>>},   {Format::kF16, linear_float<V, WeightsF16<V>>},
      {Format::kBF16, linear_float<V, WeightsBF16<V>>}, {Format::kQ4_0, linear_quantised<V, UnpackQ4_0>},
      {Format::kQ4_1, linear_quantised<V, UnpackQ4_1>}, {Format::kQ5_0, linear_quantised<V, UnpackQ5_0>},
      {Format::kQ5_1, linear_quantised<V, UnpackQ5_1>}, {Format::kQ8_0, linear_quantised<V, UnpackQ8_0>},
      {Format::kQ4_K, linear_quantised<V, UnpackQ4_K>}, {Format::kQ5_K, linear_quantised<V, UnpackQ5_K>},
      {Format::kQ6_K, linear_quantised<V, UnpackQ6_K>},
  };
  static constexpr PeakProbe kPeaks[] = {
      {"4-bit codes", dot_peak<V, 4>}, {"5-bit codes", dot_peak<V, 5>}, {"6-bit codes", dot_peak<V, 6>},
      {"8-bit codes", dot_peak<V, 8>}, {"float", fma_peak<V>},
  };
};

template <class V>
constexpr LinearKernels linear_kernels(QuantiseKernel quantise) {
  return {.formats = LinearTable<V>::kFormats,
          .n_formats = sizeof(LinearTable<V>::kFormats) / sizeof(FormatKernel),
          .quantise = quantise,
          .row_granule = V::kLanes,
          .direct_tokens = V::kDirectTokens,
          .peaks = LinearTable<V>::kPeaks,
          .n_peaks = sizeof(LinearTable<V>::kPeaks) / sizeof(PeakProbe)};
}

}  // namespace megalith::cpu
