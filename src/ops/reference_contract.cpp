// docs/numerics.md, sentence by sentence.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/half.h"
#include "ops/math.h"
#include "ops/reference_arithmetic.h"

namespace megalith::reference {

namespace {

constexpr int kAccumulators = 32;

float reduce_by_halves(std::span<float> values) {
  for (size_t half = values.size() / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) values[j] = values[j] + values[j + half];
  }
  return values[0];
}

/// A row of activations as int8 groups of 32.
struct QuantisedGroup {
  std::array<int32_t, GroupTerms::kSize> q{};
  std::array<int32_t, 2> sums{};  // of each 16
  float scale = 0.0F;
};

/// [rows, columns] with the columns of each row in the K order of the weight; empty: the natural one.
std::vector<float> in_column_order(std::span<const float> x, std::span<const int32_t> order) {
  std::vector<float> ordered(x.begin(), x.end());
  for (size_t row = 0; row < x.size() && !order.empty(); row += order.size()) {
    for (size_t k = 0; k < order.size(); ++k) ordered[row + k] = x[row + static_cast<size_t>(order[k])];
  }
  return ordered;
}

QuantisedGroup quantise_group(std::span<const float> x) {
  QuantisedGroup group;
  float largest = 0.0F;
  for (const float value : x) largest = std::max(largest, std::fabs(value));
  const float inverse = 127.0F / largest;
  if (largest == 0.0F || inverse > std::numeric_limits<float>::max()) return group;
  group.scale = largest / 127.0F;
  for (size_t i = 0; i < x.size(); ++i) {
    constexpr float kRound = 12582912.0F;  // adding and subtracting 1.5 * 2^23 rounds to an integer, ties to even
    group.q[i] = static_cast<int32_t>((x[i] * inverse + kRound) - kRound);
    group.sums[i / 16] += group.q[i];
  }
  return group;
}

float multiply_quantised(const FormatInfo& info, std::span<const GroupTerms> row,
                         std::span<const QuantisedGroup> activations) {
  float sum = 0.0F;
  for (size_t g = 0; g < row.size(); ++g) {
    const GroupTerms& terms = row[g];
    const QuantisedGroup& x = activations[g];
    std::array<int32_t, 2> products{};
    for (size_t i = 0; i < GroupTerms::kSize; ++i) products[i / 16] += terms.codes[i] * x.q[i];
    if (info.has_two_scales) {
      sum = std::fma(terms.scales[0] * x.scale, static_cast<float>(products[0]), sum);
      sum = std::fma(terms.scales[1] * x.scale, static_cast<float>(products[1]), sum);
    } else {
      sum = std::fma(terms.scales[0] * x.scale, static_cast<float>(products[0] + products[1]), sum);
    }
    if (info.has_offset) {
      const int32_t sums = terms.offset_codes[0] * x.sums[0] + terms.offset_codes[1] * x.sums[1];
      sum = std::fma(-terms.offset, x.scale * static_cast<float>(sums), sum);
    }
  }
  return sum;
}

float multiply_float(std::span<const float> weight, std::span<const float> x) {
  std::array<float, kAccumulators> sums{};
  for (size_t k = 0; k < x.size(); ++k) sums[k % kAccumulators] = std::fma(weight[k], x[k], sums[k % kAccumulators]);
  return reduce_by_halves(sums);
}

/// Softmax over some chunks, not yet divided by its sum.
struct Partial {
  float maximum = 0.0F;
  float sum = 0.0F;
  std::vector<float> output;  // empty: no chunk yet
};

void merge(Partial& left, Partial&& right) {
  if (left.output.empty()) {
    left = std::move(right);
    return;
  }
  const float maximum = std::max(left.maximum, right.maximum);
  const float a = exp_float(left.maximum - maximum);
  const float b = exp_float(right.maximum - maximum);
  left.maximum = maximum;
  left.sum = std::fma(left.sum, a, right.sum * b);
  for (size_t d = 0; d < left.output.size(); ++d) {
    left.output[d] = std::fma(left.output[d], a, right.output[d] * b);
  }
}

/// The visible positions of one chunk, the first of them anywhere in it.
Partial attend_chunk(std::span<const float> scaled_query, const AttentionView& chunk, size_t value_width) {
  const size_t begin = chunk.first_position % kPageTokens;
  const size_t end = begin + chunk.keys.size();
  std::array<float, kPageTokens> scores{};
  for (size_t t = begin; t < end; ++t) {
    const float* key = chunk.keys[t - begin];
    for (size_t d = 0; d < scaled_query.size(); ++d) scores[t] = std::fma(scaled_query[d], key[d], scores[t]);
  }
  Partial partial;
  partial.maximum =
      *std::max_element(scores.begin() + static_cast<ptrdiff_t>(begin), scores.begin() + static_cast<ptrdiff_t>(end));
  std::array<float, kPageTokens> weights{};
  for (size_t t = begin; t < end; ++t) weights[t] = exp_float(scores[t] - partial.maximum);
  std::array<float, kPageTokens> tree = weights;
  partial.sum = reduce_by_halves(tree);
  partial.output.assign(value_width, 0.0F);
  for (size_t t = begin; t < end; ++t) {
    for (size_t d = 0; d < value_width; ++d) {
      partial.output[d] = std::fma(weights[t], chunk.values[t - begin][d], partial.output[d]);
    }
  }
  return partial;
}

class ContractArithmetic final : public Arithmetic {
 public:
  bool linear(const WeightView& weight, const float* bias, std::span<const float> x,
              std::span<float> out) const override {
    const FormatInfo& info = format_info(weight.format);
    const auto columns = static_cast<size_t>(weight.columns);
    const auto n_out = static_cast<size_t>(weight.rows);
    const size_t n_rows = x.size() / columns;
    const size_t n_groups = columns / GroupTerms::kSize;
    std::vector<QuantisedGroup> activations;
    if (info.quantised()) {
      if (!std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); })) return false;
      const std::vector<float> ordered = in_column_order(x, weight.column_order);
      for (size_t g = 0; g < n_rows * n_groups; ++g) {
        activations.push_back(quantise_group(std::span(ordered).subspan(g * GroupTerms::kSize, GroupTerms::kSize)));
      }
    }
    std::vector<GroupTerms> terms(info.quantised() ? n_groups : 0);
    std::vector<float> decoded(info.quantised() ? 0 : columns);
    for (size_t n = 0; n < n_out; ++n) {
      for (size_t g = 0; g < terms.size(); ++g) {
        terms[g] = info.terms(weight, static_cast<int64_t>(n), static_cast<int64_t>(g));
      }
      if (!info.quantised()) info.decode(weight, static_cast<int64_t>(n), 0, decoded);
      for (size_t r = 0; r < n_rows; ++r) {
        const float product =
            info.quantised() ? multiply_quantised(info, terms, std::span(activations).subspan(r * n_groups, n_groups))
                             : multiply_float(decoded, x.subspan(r * columns, columns));
        out[r * n_out + n] = bias != nullptr ? product + bias[n] : product;
      }
    }
    return true;
  }

  void rms_norm(std::span<const float> x, std::span<const float> gain, float epsilon,
                std::span<float> out) const override {
    std::array<float, kAccumulators> sums{};
    for (size_t k = 0; k < x.size(); ++k) sums[k % kAccumulators] = std::fma(x[k], x[k], sums[k % kAccumulators]);
    const float mean = reduce_by_halves(sums) / static_cast<float>(x.size());
    const float r = 1.0F / std::sqrt(mean + epsilon);
    for (size_t k = 0; k < x.size(); ++k) out[k] = (x[k] * r) * gain[k];
  }

  void l2_norm(std::span<const float> x, float epsilon, std::span<float> out) const override {
    std::array<float, kAccumulators> sums{};
    for (size_t k = 0; k < x.size(); ++k) sums[k % kAccumulators] = std::fma(x[k], x[k], sums[k % kAccumulators]);
    const float r = 1.0F / std::sqrt(reduce_by_halves(sums) + epsilon);
    for (size_t k = 0; k < x.size(); ++k) out[k] = x[k] * r;
  }

  float gated(Activation activation, float gate, float up) const override {
    switch (activation) {
      case Activation::kSilu:
        return silu_float(gate) * up;
      case Activation::kGeluTanh:
        return gelu_tanh_float(gate) * up;
      case Activation::kClampedSwiglu:
        return clamped_swiglu<ContractMath>(gate, up);
    }
    return 0.0F;
  }

  float gate(GateFunction function, float x, float by) const override {
    return x * (function == GateFunction::kSilu ? silu_float(by) : sigmoid<ContractMath>(by));
  }

  float add_product(float a, float b, float c) const override { return std::fma(a, b, c); }
  void short_conv(const ShortConvRun& run) const override { megalith::short_conv<ContractMath>(run, 0, run.channels); }
  void gated_delta(const DeltaRun& run) const override { megalith::gated_delta<ContractMath>(run); }
  std::vector<Choice> route(const Router& router, std::span<const float> raw,
                            const float* selection_bias) const override {
    return megalith::route<ContractMath>(router, raw, selection_bias);
  }

  void rotate(float angle, float magnitude, float& first, float& second) const override {
    const SinCos exact = sin_cos(angle);
    const float cosine = exact.cos * magnitude;
    const float sine = exact.sin * magnitude;
    const float x0 = first;
    const float x1 = second;
    first = std::fma(x0, cosine, -(x1 * sine));
    second = std::fma(x1, cosine, x0 * sine);
  }

  float cached(float value) const override { return half_to_float(float_to_half(value)); }

  void attend(std::span<const float> query, const AttentionView& view, std::span<float> out) const override {
    std::vector<float> scaled(query.begin(), query.end());
    for (float& value : scaled) value = value * view.scale;
    const size_t first = view.first_position;
    const size_t end = first + view.keys.size();
    Partial total;
    Partial span;
    for (size_t position = first; position < end;) {
      const size_t chunk_end = std::min(end, (position / kPageTokens + 1) * kPageTokens);
      const size_t count = chunk_end - position;
      merge(span, attend_chunk(scaled,
                               {.keys = view.keys.subspan(position - first, count),
                                .values = view.values.subspan(position - first, count),
                                .first_position = position},
                               out.size()));
      position = chunk_end;
      if (position == end || position % kSpanTokens == 0) merge(total, std::exchange(span, {}));
    }
    if (view.sink) merge(total, {.maximum = *view.sink, .sum = 1.0F, .output = std::vector<float>(out.size())});
    const float inverse = 1.0F / total.sum;
    for (size_t d = 0; d < out.size(); ++d) out[d] = total.output[d] * inverse;
  }
};

}  // namespace

std::unique_ptr<Arithmetic> make_contract_arithmetic() { return std::make_unique<ContractArithmetic>(); }

}  // namespace megalith::reference
