#include "engine/penalties.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace megalith {

std::span<const TokenId> History::recent(int32_t n) const {
  return n < 0 ? tokens : tokens.last(std::min(tokens.size(), static_cast<size_t>(n)));
}

bool changes_logits(const Sampling& s) {
  return !s.logit_bias.empty() || s.repetition_penalty != 1 || s.presence_penalty != 0 || s.frequency_penalty != 0 ||
         s.dry_multiplier != 0;
}

void add_bias(std::span<float> logits, const Sampling& sampling) {
  for (const auto& [token, bias] : sampling.logit_bias) logits[static_cast<size_t>(token)] += bias;
}

void penalise_repetition(std::span<float> logits, const Sampling& sampling, const History& history) {
  if (sampling.repetition_penalty != 1) {
    std::vector<TokenId> seen(history.recent(sampling.penalty_window).begin(),
                              history.recent(sampling.penalty_window).end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const TokenId token : seen) {
      float& logit = logits[static_cast<size_t>(token)];
      logit = logit > 0 ? logit / sampling.repetition_penalty : logit * sampling.repetition_penalty;
    }
  }
  if (sampling.presence_penalty != 0 || sampling.frequency_penalty != 0) {
    std::unordered_map<TokenId, int32_t> counts;
    for (const TokenId token : history.answer()) ++counts[token];
    for (const auto& [token, count] : counts) {
      logits[static_cast<size_t>(token)] -=
          sampling.presence_penalty + sampling.frequency_penalty * static_cast<float>(count);
    }
  }
}

std::vector<Continuation> repeated_continuations(std::span<const TokenId> window, const std::vector<bool>& breaks) {
  // Read backwards, "the last n tokens stood before" is a prefix that stands again: the Z function of the reversed
  // window gives the longest such n for every place at once.
  size_t reach = 0;
  while (reach < window.size() && !breaks[static_cast<size_t>(window[window.size() - 1 - reach])]) ++reach;
  const size_t size = window.size();
  const auto reversed = [&](size_t i) { return window[size - 1 - i]; };
  std::vector<size_t> z(size, 0);
  std::unordered_map<TokenId, int32_t> longest;
  size_t left = 0;
  size_t right = 0;
  for (size_t i = 1; i < size; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < size && reversed(z[i]) == reversed(i + z[i])) ++z[i];
    if (i + z[i] > right) {
      left = i;
      right = i + z[i];
    }
    const auto length = static_cast<int32_t>(std::min(z[i], reach));
    if (length == 0) continue;
    int32_t& best = longest[reversed(i - 1)];  // the token that followed then
    best = std::max(best, length);
  }
  std::vector<Continuation> result;
  for (const auto& [token, length] : longest) result.push_back({token, length});
  return result;
}

void penalise_sequences(std::span<float> logits, const Sampling& sampling, const History& history,
                        const std::vector<bool>& breaks) {
  if (sampling.dry_multiplier == 0) return;
  for (const auto& [token, length] : repeated_continuations(history.recent(sampling.dry_window), breaks)) {
    if (length < sampling.dry_allowed_length) continue;
    const double penalty = sampling.dry_multiplier *
                           std::pow(static_cast<double>(sampling.dry_base), length - sampling.dry_allowed_length);
    logits[static_cast<size_t>(token)] -= static_cast<float>(std::min(penalty, 1e30));
  }
}

}  // namespace megalith
