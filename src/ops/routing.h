#pragma once
// Which experts a token goes to, and with what weights: written once for both kinds of arithmetic.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/ops.h"
#include "ops/real_math.h"

namespace megalith {

/// A chosen expert and the weight of its output; in rank order, the best first.
struct Choice {
  int32_t expert;
  float weight;
};

namespace routing {

/// The indices of the `count` largest values, largest first, the lower of two as large; NaN is never chosen before a
/// number.
template <class Real>
std::vector<int32_t> largest(std::span<const Real> values, std::span<const char> allowed, int32_t count) {
  std::vector<int32_t> order;
  for (size_t i = 0; i < values.size(); ++i) {
    if (allowed[i] != 0) order.push_back(static_cast<int32_t>(i));
  }
  const auto worth = [&](int32_t i) { return values[static_cast<size_t>(i)]; };
  const auto is_number = [&](int32_t i) { return worth(i) == worth(i); };
  const auto better = [&](int32_t a, int32_t b) {
    if (is_number(a) != is_number(b)) return is_number(a);
    if (is_number(a) && worth(a) != worth(b)) return worth(a) > worth(b);
    return a < b;
  };
  const size_t n = std::min(order.size(), static_cast<size_t>(count));
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(n), order.end(), better);
  order.resize(n);
  return order;
}

/// exp(x - maximum) / sum, the sum in the order of the values.
template <class Math>
std::vector<typename Math::Real> softmax(std::span<const typename Math::Real> values) {
  using Real = typename Math::Real;
  Real maximum = values[0];
  for (const Real value : values) maximum = value > maximum ? value : maximum;
  std::vector<Real> results;
  Real sum = 0;
  for (const Real value : values) {
    results.push_back(Math::exp(value - maximum));
    sum = sum + results.back();
  }
  for (Real& result : results) result = result / sum;
  return results;
}

/// Whether each expert belongs to one of the best groups.
template <class Real>
std::vector<char> in_best_groups(const Router& router, std::span<const Real> selection) {
  const size_t n_groups = static_cast<size_t>(router.groups);
  const size_t size = selection.size() / n_groups;
  std::vector<Real> worth;
  const std::vector<char> all(std::max(size, n_groups), 1);
  for (size_t group = 0; group < n_groups; ++group) {
    const auto members = selection.subspan(group * size, size);
    Real sum = 0;
    for (const int32_t best : largest<Real>(members, std::span(all).first(size), 2))
      sum += members[static_cast<size_t>(best)];
    worth.push_back(sum);
  }
  std::vector<char> result(selection.size(), 0);
  for (const int32_t group : largest<Real>(worth, std::span(all).first(n_groups), router.chosen_groups)) {
    std::fill_n(result.begin() + static_cast<ptrdiff_t>(group) * static_cast<ptrdiff_t>(size), size, char{1});
  }
  return result;
}

}  // namespace routing

/// The choice for one token. `raw`: [experts], what the router's linear gave; `selection_bias`: [experts] or null.
template <class Math>
std::vector<Choice> route(const Router& router, std::span<const float> raw, const float* selection_bias) {
  using Real = typename Math::Real;
  std::vector<Real> scores(raw.begin(), raw.end());
  if (router.score == Router::Score::kSoftmax) scores = routing::softmax<Math>(scores);
  if (router.score == Router::Score::kSigmoid) {
    for (Real& score : scores) score = sigmoid<Math>(score);
  }
  std::vector<Real> selection = scores;
  if (selection_bias != nullptr) {
    for (size_t i = 0; i < selection.size(); ++i) selection[i] = selection[i] + static_cast<Real>(selection_bias[i]);
  }
  std::vector<char> allowed(scores.size(), 1);
  if (router.groups > 1) allowed = routing::in_best_groups<Real>(router, selection);
  const std::vector<int32_t> chosen = routing::largest<Real>(selection, allowed, router.chosen);

  std::vector<Real> weights;
  for (const int32_t expert : chosen) weights.push_back(scores[static_cast<size_t>(expert)]);
  if (router.score == Router::Score::kSoftmaxOfChosen) weights = routing::softmax<Math>(weights);
  if (router.normalise == Router::Normalise::kYes) {
    Real sum = 0;
    for (const Real weight : weights) sum = sum + weight;
    sum = sum + static_cast<Real>(1e-20F);  // DeepSeek-V3; elsewhere too small to change a bit
    for (Real& weight : weights) weight = weight / sum;
  }
  std::vector<Choice> choices;
  for (size_t i = 0; i < chosen.size(); ++i) {
    choices.push_back({chosen[i], static_cast<float>(weights[i] * static_cast<Real>(router.scale))});
  }
  return choices;
}

/// The tokens that one expert sees, and where each stood in their choices.
struct ExpertRows {
  std::vector<int32_t> tokens;
  std::vector<int32_t> ranks;
};

/// [experts] from the choices of all tokens.
inline std::vector<ExpertRows> rows_of_experts(std::span<const std::vector<Choice>> choices, size_t n_experts) {
  std::vector<ExpertRows> experts(n_experts);
  for (size_t token = 0; token < choices.size(); ++token) {
    for (size_t rank = 0; rank < choices[token].size(); ++rank) {
      ExpertRows& rows = experts[static_cast<size_t>(choices[token][rank].expert)];
      rows.tokens.push_back(static_cast<int32_t>(token));
      rows.ranks.push_back(static_cast<int32_t>(rank));
    }
  }
  return experts;
}

}  // namespace megalith
