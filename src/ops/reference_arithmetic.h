#pragma once
// The arithmetic of the reference: two implementations of the same small set of computations (reference.h).
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ops/gated_delta.h"
#include "ops/ops.h"
#include "ops/routing.h"

namespace megalith::reference {

/// Keys and values that one query sees, in order of position.
struct AttentionView {
  std::span<const float* const> keys;    // [visible positions] of [key_width]
  std::span<const float* const> values;  // [visible positions] of [value_width]
  float scale = 0.0F;
  size_t first_position = 0;    // of the first of them in its sequence
  std::optional<float> sink{};  // one more score of the softmax, without a value
};

class Arithmetic {
 public:
  virtual ~Arithmetic() = default;
  /// out[r, n] = x[r] . weight[n] + bias[n]; false if the weight is quantised and x is not finite.
  virtual bool linear(const WeightView& weight, const float* bias, std::span<const float> x,
                      std::span<float> out) const = 0;
  virtual void rms_norm(std::span<const float> x, std::span<const float> gain, float epsilon,
                        std::span<float> out) const = 0;
  virtual void l2_norm(std::span<const float> x, float epsilon, std::span<float> out) const = 0;
  virtual float gated(Activation activation, float gate, float up) const = 0;
  /// x * f(by).
  virtual float gate(GateFunction function, float x, float by) const = 0;
  /// a * b + c, rounded once.
  virtual float add_product(float a, float b, float c) const = 0;
  virtual void short_conv(const ShortConvRun& run) const = 0;
  virtual void gated_delta(const DeltaRun& run) const = 0;
  virtual std::vector<Choice> route(const Router& router, std::span<const float> raw,
                                    const float* selection_bias) const = 0;
  /// Rotates the pair (first, second) by the angle.
  virtual void rotate(float angle, float magnitude, float& first, float& second) const = 0;
  /// What a key or value reads back as once it has been in the cache.
  virtual float cached(float value) const = 0;
  virtual void attend(std::span<const float> query, const AttentionView& view, std::span<float> out) const = 0;
};

/// docs/numerics.md in plain loops.
std::unique_ptr<Arithmetic> make_contract_arithmetic();
/// Everything in double, rounded to float32 once for each value of each op.
std::unique_ptr<Arithmetic> make_exact_arithmetic();

}  // namespace megalith::reference
