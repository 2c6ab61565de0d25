#pragma once
// Norms and elementwise ops (docs/numerics.md), written once over a set's float traits (vector_math.h).
#include <cstdint>

#include "backends/cpu/kernels/vector_kernels.h"
#include "backends/cpu/kernels/vector_math.h"

namespace megalith::cpu {

/// Calls body(i) for each whole vector of [0, n), then body on a padded copy of the rest, which `pad` makes and writes
/// back: see the users below.
template <class S>
struct Rest {
  alignas(64) float values[S::kLanes] = {};
  Rest(const float* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) values[i] = from[i];
  }
  void store(float* to, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) to[i] = values[i];
  }
};

/// a[i] = op(a[i], b[i]).
template <class S, class Op>
inline void for_each_pair(float* a, const float* b, int64_t n, Op op) {
  int64_t i = 0;
  for (; i + S::kLanes <= n; i += S::kLanes) S::store(a + i, op(S::load(a + i), S::load(b + i)));
  if (i == n) return;
  Rest<S> left(a + i, n - i);
  const Rest<S> right(b + i, n - i);
  S::store(left.values, op(S::load(left.values), S::load(right.values)));
  left.store(a + i, n - i);
}

template <class S>
void add_rows(float* a, const float* b, int64_t n) {
  for_each_pair<S>(a, b, n, [](typename S::V x, typename S::V y) { return S::add(x, y); });
}

template <class S>
void silu_gated_rows(float* gate, const float* up, int64_t n) {
  for_each_pair<S>(gate, up, n, [](typename S::V g, typename S::V u) { return S::multiply(silu_vector<S>(g), u); });
}

template <class S>
void gelu_tanh_gated_rows(float* gate, const float* up, int64_t n) {
  for_each_pair<S>(gate, up, n,
                   [](typename S::V g, typename S::V u) { return S::multiply(gelu_tanh_vector<S>(g), u); });
}

/// The contract's sum of squares: 32 accumulators, reduced by halves.
template <class S>
inline float sum_of_squares(const float* x, int64_t n) {
  using V = typename S::V;
  constexpr int kVectors = 32 / S::kLanes;
  V sums[kVectors];
  for (int j = 0; j < kVectors; ++j) sums[j] = S::zero();
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (int j = 0; j < kVectors; ++j) {
      const V v = S::load(x + i + j * S::kLanes);
      sums[j] = S::fma(v, v, sums[j]);
    }
  }
  if (i < n) {  // zeros add nothing: every accumulator is +0 or positive
    alignas(64) float rest[32] = {};
    for (int64_t k = i; k < n; ++k) rest[k - i] = x[k];
    for (int j = 0; j < kVectors; ++j) {
      const V v = S::load(rest + j * S::kLanes);
      sums[j] = S::fma(v, v, sums[j]);
    }
  }
  for (int half = kVectors / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) sums[j] = S::add(sums[j], sums[j + half]);
  }
  return S::reduce_by_halves(sums[0]);
}

template <class S>
void rms_norm_rows(const RmsNormTask& task) {
  using V = typename S::V;
  for (int64_t g = 0; g < task.n_groups; ++g) {
    const float* x = task.x + g * task.width;
    float* out = task.out + g * task.width;
    const float mean = sum_of_squares<S>(x, task.width) / static_cast<float>(task.width);
    const float r = 1.0F / __builtin_sqrtf(mean + task.epsilon);
    const V scale = S::set(r);
    int64_t i = 0;
    for (; i + S::kLanes <= task.width; i += S::kLanes) {
      S::store(out + i, S::multiply(S::multiply(S::load(x + i), scale), S::load(task.gain + i)));
    }
    for (; i < task.width; ++i) out[i] = (x[i] * r) * task.gain[i];
  }
}

template <class S>
void rotate_halves_rows(const RotateTask& task) {
  using V = typename S::V;
  for (int32_t h = 0; h < task.n_heads; ++h) {
    float* first = task.x + static_cast<int64_t>(h) * task.head_width;
    float* second = first + task.n_pairs;
    int32_t i = 0;
    for (; i + S::kLanes <= task.n_pairs; i += S::kLanes) {
      const V x0 = S::load(first + i);
      const V x1 = S::load(second + i);
      const V cosine = S::load(task.cosine + i);
      const V sine = S::load(task.sine + i);
      S::store(first + i, S::fma(x0, cosine, S::negate(S::multiply(x1, sine))));
      S::store(second + i, S::fma(x1, cosine, S::multiply(x0, sine)));
    }
    for (; i < task.n_pairs; ++i) {
      const float x0 = first[i];
      const float x1 = second[i];
      first[i] = __builtin_fmaf(x0, task.cosine[i], -(x1 * task.sine[i]));
      second[i] = __builtin_fmaf(x1, task.cosine[i], x0 * task.sine[i]);
    }
  }
}

template <class S>
void rotate_interleaved_rows(const RotateTask& task) {
  using V = typename S::V;
  const int32_t width = 2 * task.n_pairs;
  for (int32_t h = 0; h < task.n_heads; ++h) {
    float* x = task.x + static_cast<int64_t>(h) * task.head_width;
    int32_t i = 0;
    for (; i + S::kLanes <= width; i += S::kLanes) {
      const V values = S::load(x + i);
      const V crossed = S::multiply(S::swap_pairs(values), S::load(task.sine + i));
      S::store(x + i, S::fma(values, S::load(task.cosine + i), crossed));
    }
    for (; i < width; i += 2) {
      const float x0 = x[i];
      const float x1 = x[i + 1];
      x[i] = __builtin_fmaf(x0, task.cosine[i], x1 * task.sine[i]);
      x[i + 1] = __builtin_fmaf(x1, task.cosine[i + 1], x0 * task.sine[i + 1]);
    }
  }
}

template <class S>
void to_half_rows(const float* in, uint16_t* out, int64_t n) {
  int64_t i = 0;
  for (; i + S::kLanes <= n; i += S::kLanes) S::store_half(out + i, S::load(in + i));
  if (i == n) return;
  const Rest<S> rest(in + i, n - i);
  uint16_t halves[S::kLanes];
  S::store_half(halves, S::load(rest.values));
  for (int64_t k = i; k < n; ++k) out[k] = halves[k - i];
}

template <class S>
bool all_finite_rows(const float* x, int64_t n) {
  bool finite = true;
  int64_t i = 0;
  for (; i + S::kLanes <= n; i += S::kLanes) finite &= S::all_finite(S::load(x + i));
  if (i == n) return finite;
  const Rest<S> rest(x + i, n - i);
  return finite && S::all_finite(S::load(rest.values));
}

}  // namespace megalith::cpu
