#pragma once
// The recurrent ops of hybrid models, written once for both kinds of arithmetic: a causal short convolution and the
// gated delta rule (Yang et al., Gated Delta Networks), token by token. State is float32 in both.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/ops.h"
#include "ops/real_math.h"

namespace megalith {

/// Where the recurrent state of each layer lies in a slot: the convolution's last inputs [kernel - 1][channels], the
/// oldest first, then the delta rule's matrices [heads][key_width][value_width].
class SlotLayout {
 public:
  SlotLayout() = default;
  explicit SlotLayout(const StateLayout& layout) : layers_(layout.recurrent) {
    for (const Recurrent& layer : layers_) {
      offsets_.push_back(floats_);
      floats_ += layer.convolution_floats() + layer.delta_floats();
    }
  }
  int64_t floats() const { return floats_; }
  const Recurrent& layer(int32_t index) const { return layers_[static_cast<size_t>(index)]; }
  int64_t convolution(int32_t index) const { return offsets_[static_cast<size_t>(index)]; }
  int64_t delta(int32_t index) const { return convolution(index) + layer(index).convolution_floats(); }

 private:
  std::vector<Recurrent> layers_;
  std::vector<int64_t> offsets_;  // floats
  int64_t floats_ = 0;
};

/// Consecutive tokens of one sequence.
struct ShortConvRun {
  const float* x = nullptr;       // [n_tokens, channels]
  const float* kernel = nullptr;  // [channels, width]
  float* state = nullptr;         // [width - 1, channels], updated
  float* out = nullptr;           // [n_tokens, channels]
  int64_t n_tokens = 0;
  int64_t channels = 0;
  int64_t width = 0;
};

/// The channels [begin, end) of the run.
template <class Math>
void short_conv(const ShortConvRun& run, int64_t begin, int64_t end) {
  using Real = typename Math::Real;
  const int64_t kept = run.width - 1;
  // Token t of the run, or of what came before it.
  const auto input = [&](int64_t t, int64_t c) {
    return t < 0 ? run.state[(t + kept) * run.channels + c] : run.x[t * run.channels + c];
  };
  for (int64_t t = 0; t < run.n_tokens; ++t) {
    for (int64_t c = begin; c < end; ++c) {
      Real sum = 0;
      for (int64_t j = 0; j < run.width; ++j) {
        sum =
            Math::fma(static_cast<Real>(run.kernel[c * run.width + j]), static_cast<Real>(input(t - kept + j, c)), sum);
      }
      run.out[t * run.channels + c] = static_cast<float>(sum / (Real{1} + Math::exp(-sum)));
    }
  }
  // Oldest first, so that none is overwritten before it has moved.
  for (int64_t i = 0; i < kept; ++i) {
    for (int64_t c = begin; c < end; ++c) run.state[i * run.channels + c] = input(run.n_tokens - kept + i, c);
  }
}

/// Consecutive tokens of one sequence and one value head; pointers are to the head's values of the first token.
struct DeltaRun {
  const float* query = nullptr;  // [key_width] of each token
  const float* key = nullptr;    // [key_width]
  const float* value = nullptr;  // [value_width]
  const float* a = nullptr;      // one of each token
  const float* b = nullptr;      // one of each token
  float* out = nullptr;          // [value_width]
  float* state = nullptr;        // [key_width, value_width], updated
  int64_t key_stride = 0;        // between tokens, of query and key
  int64_t value_stride = 0;      // of value and out
  int64_t gate_stride = 0;       // of a and b
  int64_t n_tokens = 0;
  int64_t key_width = 0;
  int64_t value_width = 0;
  float decay_rate = 0.0F;  // ln A or -A
  float time_bias = 0.0F;
  float scale = 1.0F;
  GatedDelta::Decay decay = GatedDelta::Decay::kLog;
};

/// Row by row, so that a vector's lanes are the columns of the state; each column's sums go down the rows.
template <class Math>
void gated_delta(const DeltaRun& run) {
  using Real = typename Math::Real;
  const Real rate = run.decay == GatedDelta::Decay::kLog ? -Math::exp(static_cast<Real>(run.decay_rate))
                                                         : static_cast<Real>(run.decay_rate);
  std::vector<Real> change(static_cast<size_t>(run.value_width));
  std::vector<Real> out(static_cast<size_t>(run.value_width));
  for (int64_t t = 0; t < run.n_tokens; ++t) {
    const float* query = run.query + t * run.key_stride;
    const float* key = run.key + t * run.key_stride;
    const float* value = run.value + t * run.value_stride;
    const Real time = softplus<Math>(static_cast<Real>(run.a[t * run.gate_stride]) + static_cast<Real>(run.time_bias));
    const auto decay = static_cast<float>(Math::exp(rate * time));
    const Real beta = sigmoid<Math>(static_cast<Real>(run.b[t * run.gate_stride]));
    std::ranges::fill(change, Real{0});
    std::ranges::fill(out, Real{0});
    for (int64_t i = 0; i < run.key_width; ++i) {
      float* row = run.state + i * run.value_width;
      for (size_t j = 0; j < change.size(); ++j) {
        row[j] = row[j] * decay;
        change[j] = Math::fma(static_cast<Real>(row[j]), static_cast<Real>(key[i]), change[j]);
      }
    }
    for (size_t j = 0; j < change.size(); ++j) change[j] = (static_cast<Real>(value[j]) - change[j]) * beta;
    for (int64_t i = 0; i < run.key_width; ++i) {
      float* row = run.state + i * run.value_width;
      const Real scaled_query = static_cast<Real>(query[i]) * static_cast<Real>(run.scale);
      for (size_t j = 0; j < change.size(); ++j) {
        row[j] = static_cast<float>(Math::fma(static_cast<Real>(key[i]), change[j], static_cast<Real>(row[j])));
        out[j] = Math::fma(static_cast<Real>(row[j]), scaled_query, out[j]);
      }
    }
    for (size_t j = 0; j < out.size(); ++j)
      run.out[t * run.value_stride + static_cast<int64_t>(j)] = static_cast<float>(out[j]);
  }
}

/// What a backend knows of a gated delta op: pointers to all its tensors, [n_tokens of the batch, ...].
struct DeltaTensors {
  const float* query = nullptr;
  const float* key = nullptr;
  const float* value = nullptr;
  const float* a = nullptr;
  const float* b = nullptr;
  float* out = nullptr;
  const float* decay_rate = nullptr;  // [value heads]
  const float* time_bias = nullptr;   // [value heads]
};

/// The part of one sequence and one value head. `delta_state`: the layer's matrices in the sequence's slot.
inline DeltaRun delta_run(const GatedDelta& delta, const Recurrent& layer, const DeltaTensors& tensors,
                          const SequenceSlice& sequence, int32_t head, float* delta_state) {
  const bool grouped = delta.order == GatedDelta::HeadOrder::kGrouped;
  const int32_t key_head = grouped ? head / (layer.heads / delta.key_heads) : head % delta.key_heads;
  const int64_t key_stride = int64_t{delta.key_heads} * layer.key_width;
  const int64_t value_stride = int64_t{layer.heads} * layer.value_width;
  const int64_t row = sequence.first_row;
  const int64_t key_at = row * key_stride + int64_t{key_head} * layer.key_width;
  const int64_t value_at = row * value_stride + int64_t{head} * layer.value_width;
  return {.query = tensors.query + key_at,
          .key = tensors.key + key_at,
          .value = tensors.value + value_at,
          .a = tensors.a + row * layer.heads + head,
          .b = tensors.b + row * layer.heads + head,
          .out = tensors.out + value_at,
          .state = delta_state + int64_t{head} * layer.key_width * layer.value_width,
          .key_stride = key_stride,
          .value_stride = value_stride,
          .gate_stride = layer.heads,
          .n_tokens = sequence.n_tokens,
          .key_width = layer.key_width,
          .value_width = layer.value_width,
          .decay_rate = tensors.decay_rate[head],
          .time_bias = tensors.time_bias[head],
          .scale = delta.scale,
          .decay = delta.decay};
}

}  // namespace megalith
