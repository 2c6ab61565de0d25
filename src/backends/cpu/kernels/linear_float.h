#pragma once
// Matmul kernels of float weights: lanes along K, 32 accumulators for each output and a fixed reduction, as
// docs/numerics.md has it; so any tile of rows and tokens gives the same bits.
#include "backends/cpu/kernels/linear_tiles.h"

namespace megalith::cpu {

template <class V>
struct WeightsF32 {
  static constexpr int kBytes = 4;
  MEGALITH_INLINE typename V::Float load(const uint8_t* p) { return V::load_float(reinterpret_cast<const float*>(p)); }
};

template <class V>
struct WeightsF16 {
  static constexpr int kBytes = 2;
  MEGALITH_INLINE typename V::Float load(const uint8_t* p) { return V::load_half(p); }
};

template <class V>
struct WeightsBF16 {
  static constexpr int kBytes = 2;
  MEGALITH_INLINE typename V::Float load(const uint8_t* p) { return V::load_bfloat16(p); }
};

template <class V, class W, int kRows, int kTokens>
[[gnu::noinline]] void float_tile(const LinearTask& task, const RowTile& tile, int64_t token) {
  using Float = typename V::Float;
  constexpr int kVectors = 32 / V::kLanes;
  const uint8_t* weights = task.bytes + tile.first * task.row_bytes;
  const int64_t stride = tile.stride * task.row_bytes;
  const float* x = task.input + token * task.columns;
  Float sums[kRows][kTokens][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTokens; ++t) {
      for (int v = 0; v < kVectors; ++v) sums[r][t][v] = V::zero_float();
    }
  }
  const int64_t whole = task.columns / 32 * 32;
  for (int64_t k = 0; k < whole; k += 32) {
    for (int v = 0; v < kVectors; ++v) {
      Float xs[kTokens];
      for (int t = 0; t < kTokens; ++t) xs[t] = V::load_float(x + t * task.columns + k + v * V::kLanes);
      for (int r = 0; r < kRows; ++r) {
        const Float w = W::load(weights + r * stride + (k + v * V::kLanes) * W::kBytes);
        for (int t = 0; t < kTokens; ++t) sums[r][t][v] = V::fma(w, xs[t], sums[r][t][v]);
      }
    }
    if constexpr (kTokens == 1) {
      for (int r = 0; r < kRows; ++r) {
        for (int line = 0; line < 32 * W::kBytes; line += 64) {
          __builtin_prefetch(weights + r * stride + k * W::kBytes + 1024 + line, 0, 3);
        }
      }
    }
  }
  if (const int64_t left = task.columns - whole; left != 0) {
    // The last columns go through zeroed copies; accumulators without a column keep their value, even a -0.
    for (int r = 0; r < kRows; ++r) {
      for (int t = 0; t < kTokens; ++t) {
        alignas(64) uint8_t last_weights[32 * 4] = {};
        alignas(64) float last_x[32] = {};
        __builtin_memcpy(last_weights, weights + r * stride + whole * W::kBytes, left * W::kBytes);
        __builtin_memcpy(last_x, x + t * task.columns + whole, left * sizeof(float));
        for (int v = 0; v < kVectors; ++v) {
          const Float w = W::load(last_weights + v * V::kLanes * W::kBytes);
          const Float sum = V::fma(w, V::load_float(last_x + v * V::kLanes), sums[r][t][v]);
          sums[r][t][v] = V::first_lanes(left - v * V::kLanes, sum, sums[r][t][v]);
        }
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    float values[kRows];
    for (int r = 0; r < kRows; ++r) values[r] = V::reduce(sums[r][t]);
    store_tile<kRows>(task, tile, token + t, values);
  }
}

template <class V, class W>
void linear_float(const LinearTask& task) {
  if (task.token_end - task.token_begin == 1) {
    streaming_tiles<V::kFloatDecodeRows>(
        task, [&](const RowTile& tile) { float_tile<V, W, V::kFloatDecodeRows, 1>(task, tile, task.token_begin); });
    return;
  }
  constexpr int kTokens = V::kFloatTileTokens;
  streaming_tiles<V::kFloatTileRows>(task, [&](const RowTile& tile) {
    int64_t token = task.token_begin;
    for (; token + kTokens <= task.token_end; token += kTokens) {
      float_tile<V, W, V::kFloatTileRows, kTokens>(task, tile, token);
    }
    for (; token < task.token_end; ++token) float_tile<V, W, V::kFloatTileRows, 1>(task, tile, token);
  });
}

}  // namespace megalith::cpu
