#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "ops/reference_arithmetic.h"

namespace megalith::reference {

namespace {

class ExactArithmetic final : public Arithmetic {
 public:
  bool linear(const WeightView& weight, const float* bias, std::span<const float> x,
              std::span<float> out) const override {
    const FormatInfo& info = format_info(weight.format);
    if (info.quantised() && !std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); })) {
      return false;
    }
    const auto columns = static_cast<size_t>(weight.columns);
    const auto n_out = static_cast<size_t>(weight.rows);
    std::vector<float> decoded(columns);
    for (size_t n = 0; n < n_out; ++n) {
      info.decode(weight, static_cast<int64_t>(n), 0, decoded);
      for (size_t r = 0; r * columns < x.size(); ++r) {
        double sum = bias != nullptr ? bias[n] : 0.0;
        for (size_t k = 0; k < columns; ++k) sum += static_cast<double>(decoded[k]) * x[r * columns + k];
        out[r * n_out + n] = static_cast<float>(sum);
      }
    }
    return true;
  }

  void rms_norm(std::span<const float> x, std::span<const float> gain, float epsilon,
                std::span<float> out) const override {
    double sum = 0.0;
    for (const float value : x) sum += static_cast<double>(value) * value;
    const double r = 1.0 / std::sqrt(sum / static_cast<double>(x.size()) + epsilon);
    for (size_t k = 0; k < x.size(); ++k) out[k] = static_cast<float>(x[k] * r * gain[k]);
  }

  void l2_norm(std::span<const float> x, float epsilon, std::span<float> out) const override {
    double sum = 0.0;
    for (const float value : x) sum += static_cast<double>(value) * value;
    const double r = 1.0 / std::sqrt(sum + epsilon);
    for (size_t k = 0; k < x.size(); ++k) out[k] = static_cast<float>(x[k] * r);
  }

  float gated(Activation activation, float gate, float up) const override {
    const double x = gate;
    switch (activation) {
      case Activation::kSilu:
        return static_cast<float>(x * sigmoid<ExactMath>(x) * up);
      case Activation::kGeluTanh: {
        const double u = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
        return static_cast<float>(0.5 * x * (1.0 + std::tanh(u)) * up);
      }
      case Activation::kClampedSwiglu:
        return static_cast<float>(clamped_swiglu<ExactMath>(x, up));
    }
    return 0.0F;
  }

  float gate(GateFunction function, float x, float by) const override {
    const double factor = sigmoid<ExactMath>(by) * (function == GateFunction::kSilu ? by : 1.0);
    return static_cast<float>(x * factor);
  }

  float add_product(float a, float b, float c) const override {
    return static_cast<float>(static_cast<double>(a) * b + c);
  }
  void short_conv(const ShortConvRun& run) const override { megalith::short_conv<ExactMath>(run, 0, run.channels); }
  void gated_delta(const DeltaRun& run) const override { megalith::gated_delta<ExactMath>(run); }
  std::vector<Choice> route(const Router& router, std::span<const float> raw,
                            const float* selection_bias) const override {
    return megalith::route<ExactMath>(router, raw, selection_bias);
  }

  void rotate(float angle, float magnitude, float& first, float& second) const override {
    const double cosine = std::cos(static_cast<double>(angle)) * magnitude;
    const double sine = std::sin(static_cast<double>(angle)) * magnitude;
    const double x0 = first;
    const double x1 = second;
    first = static_cast<float>(x0 * cosine - x1 * sine);
    second = static_cast<float>(x1 * cosine + x0 * sine);
  }

  float cached(float value) const override { return value; }

  void attend(std::span<const float> query, const AttentionView& view, std::span<float> out) const override {
    std::vector<double> weights;
    double maximum = -std::numeric_limits<double>::infinity();
    for (const float* key : view.keys) {
      double score = 0.0;
      for (size_t d = 0; d < query.size(); ++d) score += static_cast<double>(query[d]) * key[d];
      weights.push_back(score * view.scale);
      maximum = std::max(maximum, weights.back());
    }
    if (view.sink) maximum = std::max(maximum, static_cast<double>(*view.sink));
    double sum = view.sink ? std::exp(*view.sink - maximum) : 0.0;
    for (double& weight : weights) sum += weight = std::exp(weight - maximum);
    for (size_t d = 0; d < out.size(); ++d) {
      double output = 0.0;
      for (size_t t = 0; t < weights.size(); ++t) output += weights[t] * view.values[t][d];
      out[d] = static_cast<float>(output / sum);
    }
  }
};

}  // namespace

std::unique_ptr<Arithmetic> make_exact_arithmetic() { return std::make_unique<ExactArithmetic>(); }

}  // namespace megalith::reference
