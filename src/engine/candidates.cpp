#include "engine/candidates.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/math.h"

namespace megalith {

namespace {

/// How many of the first probabilities it takes to reach `p`; at least one.
size_t count_to_reach(const std::vector<double>& in_order, double p) {
  double cumulative = 0;
  size_t count = 0;
  while (count < in_order.size() && (count == 0 || cumulative < p)) cumulative += in_order[count++];
  return count;
}

}  // namespace

void keep_likeliest(Candidates& candidates, int32_t k) {
  if (k > 0 && static_cast<size_t>(k) < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + k, candidates.end(), likelier);
    candidates.resize(static_cast<size_t>(k));
  }
  std::sort(candidates.begin(), candidates.end(), likelier);
}

std::vector<double> probabilities(const Candidates& candidates) {
  float best = candidates.front().logit;
  for (const Candidate& c : candidates) best = std::max(best, c.logit);
  std::vector<double> result;
  result.reserve(candidates.size());
  double sum = 0;
  for (const Candidate& c : candidates) sum += result.emplace_back(exp_float(c.logit - best));
  for (double& p : result) p /= sum;
  return result;
}

void keep_top_n_sigma(Candidates& candidates, float n) {
  if (n <= 0) return;
  double sum = 0;
  double squares = 0;
  size_t count = 0;
  float best = candidates.front().logit;
  for (const Candidate& c : candidates) {
    best = std::max(best, c.logit);
    if (std::isinf(c.logit)) continue;  // forbidden by a bias
    sum += c.logit;
    squares += static_cast<double>(c.logit) * c.logit;
    ++count;
  }
  if (count == 0) return;
  const double mean = sum / static_cast<double>(count);
  const double deviation = std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean * mean));
  std::erase_if(candidates, [&](const Candidate& c) { return c.logit < best - n * deviation; });
}

void keep_typical(Candidates& candidates, float p) {
  if (p >= 1) return;
  const std::vector<double> probability = probabilities(candidates);
  const auto surprise = [&](size_t i) { return -std::log(probability[i]); };
  double entropy = 0;
  for (size_t i = 0; i < probability.size(); ++i) {
    if (probability[i] > 0) entropy += probability[i] * surprise(i);
  }
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double distance_a = std::abs(surprise(a) - entropy);
    const double distance_b = std::abs(surprise(b) - entropy);
    return distance_a != distance_b ? distance_a < distance_b : a < b;
  });
  std::vector<double> in_order;
  for (const size_t i : order) in_order.push_back(probability[i]);
  order.resize(count_to_reach(in_order, p));
  Candidates kept;
  for (const size_t i : order) kept.push_back(candidates[i]);
  std::sort(kept.begin(), kept.end(), likelier);
  candidates = std::move(kept);
}

void keep_top_p(Candidates& candidates, float p) {
  if (p < 1) candidates.resize(count_to_reach(probabilities(candidates), p));
}

void keep_min_p(Candidates& candidates, float p) {
  if (p <= 0) return;
  const float best = candidates.front().logit;
  while (candidates.size() > 1 && exp_float(candidates.back().logit - best) < p) candidates.pop_back();
}

void exclude_top_choices(Candidates& candidates, float threshold) {
  const std::vector<double> probability = probabilities(candidates);
  size_t above = 0;
  while (above < probability.size() && probability[above] >= threshold) ++above;
  if (above >= 2) candidates.erase(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(above - 1));
}

void keep_unsurprising(Candidates& candidates, double max_surprise) {
  const std::vector<double> probability = probabilities(candidates);
  size_t kept = 1;
  while (kept < probability.size() && -std::log2(probability[kept]) <= max_surprise) ++kept;
  candidates.resize(kept);
}

}  // namespace megalith
