// The whole chain of docs/sampling.md, written once more: each row of its table as plain sums in double, without any
// of the engine's code, over random logits and parameters.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "engine/random.h"
#include "engine/sampler.h"

namespace megalith {
namespace {

struct Scored {
  TokenId token;
  double logit;
};

/// What is left to draw from, and whether a step came too close to its limit for two ways of rounding to agree.
struct Expected {
  std::vector<Scored> kept;
  std::vector<double> probability;
  bool close_call = false;
};

class Chain {
 public:
  Chain(const Sampling& sampling, uint64_t seed, int32_t choice)
      : sampling_(sampling), seed_(seed), choice_(choice), mu_(2.0 * sampling.mirostat_tau) {}

  Expected apply(const std::vector<float>& logits, const History& history) {
    expected_ = {};
    for (size_t i = 0; i < logits.size(); ++i) expected_.kept.push_back({static_cast<TokenId>(i), logits[i]});
    bias_and_penalties(history);
    sort();
    if (sampling_.mirostat_tau > 0) {
      heat();
      const std::vector<double> p = probabilities();
      size_t count = 1;  // the likeliest always stays
      for (; count < p.size() && at_most(-std::log2(p[count]), mu_); ++count) {
      }
      expected_.kept.resize(count);
    } else {
      top_n_sigma();
      if (sampling_.top_k > 0) cut(static_cast<size_t>(sampling_.top_k));
      typical();
      top_p();
      min_p();
      xtc(static_cast<int32_t>(history.tokens.size()));
      heat();
    }
    expected_.probability = probabilities();
    return expected_;
  }
  /// Mirostat's update after `token` was chosen of what apply() left.
  void choose(TokenId token) {
    for (size_t i = 0; i < expected_.kept.size(); ++i) {
      if (expected_.kept[i].token == token)
        mu_ -= sampling_.mirostat_eta * (-std::log2(expected_.probability[i]) - sampling_.mirostat_tau);
    }
  }

 private:
  bool at_most(double value, double limit) {
    if (std::abs(value - limit) <= 1e-4 * std::max(1.0, std::abs(limit))) expected_.close_call = true;
    return value <= limit;
  }
  void sort() {
    std::sort(expected_.kept.begin(), expected_.kept.end(), [](const Scored& a, const Scored& b) {
      return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
    });
  }
  void cut(size_t count) { expected_.kept.resize(std::min(count, expected_.kept.size())); }
  void heat() {
    for (Scored& scored : expected_.kept) scored.logit /= sampling_.temperature;
  }
  std::vector<double> probabilities() const {
    double sum = 0;
    std::vector<double> p;
    for (const Scored& scored : expected_.kept)
      sum += p.emplace_back(std::exp(scored.logit - expected_.kept.front().logit));
    for (double& value : p) value /= sum;
    return p;
  }

  void bias_and_penalties(const History& history) {
    for (const auto& [token, bias] : sampling_.logit_bias) expected_.kept[static_cast<size_t>(token)].logit += bias;
    const size_t size = history.tokens.size();
    const size_t window =
        sampling_.penalty_window < 0 ? size : std::min(size, static_cast<size_t>(sampling_.penalty_window));
    const std::set<TokenId> recent(history.tokens.end() - static_cast<ptrdiff_t>(window), history.tokens.end());
    for (const TokenId token : recent) {
      double& logit = expected_.kept[static_cast<size_t>(token)].logit;
      logit = logit > 0 ? logit / sampling_.repetition_penalty : logit * sampling_.repetition_penalty;
    }
    std::map<TokenId, int> counts;
    for (size_t i = history.prompt_tokens; i < size; ++i) ++counts[history.tokens[i]];
    for (const auto& [token, count] : counts)
      expected_.kept[static_cast<size_t>(token)].logit -=
          sampling_.presence_penalty + static_cast<double>(sampling_.frequency_penalty) * count;
    if (sampling_.dry_multiplier > 0) dry(history);
  }
  /// For each token: the longest n such that the last n tokens stood before, followed by it.
  void dry(const History& history) {
    const size_t all = history.tokens.size();
    const size_t window = sampling_.dry_window < 0 ? all : std::min(all, static_cast<size_t>(sampling_.dry_window));
    const std::span<const TokenId> tokens = history.tokens.last(window);
    std::map<TokenId, int32_t> longest;
    for (size_t next = 1; next < window; ++next) {
      int32_t n = 0;
      while (static_cast<size_t>(n) < next &&
             tokens[next - 1 - static_cast<size_t>(n)] == tokens[window - 1 - static_cast<size_t>(n)])
        ++n;
      longest[tokens[next]] = std::max(longest[tokens[next]], n);
    }
    for (const auto& [token, n] : longest) {
      if (n >= sampling_.dry_allowed_length)
        expected_.kept[static_cast<size_t>(token)].logit -=
            sampling_.dry_multiplier * std::pow(sampling_.dry_base, n - sampling_.dry_allowed_length);
    }
  }

  void top_n_sigma() {
    if (sampling_.top_n_sigma == 0) return;
    const auto n = static_cast<double>(expected_.kept.size());
    double mean = 0;
    for (const Scored& scored : expected_.kept) mean += scored.logit / n;
    double variance = 0;
    for (const Scored& scored : expected_.kept) variance += (scored.logit - mean) * (scored.logit - mean) / n;
    const double limit = expected_.kept.front().logit - sampling_.top_n_sigma * std::sqrt(variance);
    std::erase_if(expected_.kept, [&](const Scored& scored) { return !at_most(limit, scored.logit); });
  }
  void typical() {
    if (sampling_.typical_p >= 1) return;
    const std::vector<double> p = probabilities();
    double entropy = 0;
    for (const double value : p) entropy -= value * std::log(value);
    std::vector<std::pair<double, size_t>> by_distance;
    for (size_t i = 0; i < p.size(); ++i) by_distance.emplace_back(std::abs(-std::log(p[i]) - entropy), i);
    std::sort(by_distance.begin(), by_distance.end());
    std::vector<Scored> kept;
    double sum = 0;
    for (size_t i = 0; i < by_distance.size(); ++i) {
      if (i > 0 && at_most(sampling_.typical_p, sum)) break;
      if (i > 0 && by_distance[i].first - by_distance[i - 1].first < 1e-4) expected_.close_call = true;
      sum += p[by_distance[i].second];
      kept.push_back(expected_.kept[by_distance[i].second]);
    }
    expected_.kept = std::move(kept);
    sort();
  }
  void top_p() {
    if (sampling_.top_p >= 1) return;
    const std::vector<double> p = probabilities();
    double sum = p[0];
    size_t count = 1;
    for (; count < p.size() && !at_most(sampling_.top_p, sum); ++count) sum += p[count];
    cut(count);
  }
  void min_p() {
    if (sampling_.min_p == 0) return;
    const std::vector<double> p = probabilities();
    size_t count = 1;
    while (count < p.size() && at_most(sampling_.min_p, p[count] / p[0])) ++count;
    cut(count);
  }
  void xtc(int32_t position) {
    if (uniform({seed_, choice_, position, RandomUse::kExcludeTopChoices}) >= sampling_.xtc_probability) return;
    const std::vector<double> p = probabilities();
    size_t above = 0;
    while (above < p.size() && at_most(sampling_.xtc_threshold, p[above])) ++above;
    if (above >= 2)
      expected_.kept.erase(expected_.kept.begin(), expected_.kept.begin() + static_cast<ptrdiff_t>(above) - 1);
  }

  const Sampling sampling_;
  uint64_t seed_;
  int32_t choice_;
  double mu_;
  Expected expected_;
};

class Draw {
 public:
  explicit Draw(uint32_t seed) : random_(seed) {}
  // Not std::uniform_real_distribution: its numbers differ from library to library.
  float number(float low, float high) {
    return low + (high - low) * static_cast<float>(random_() >> 8) / static_cast<float>(1 << 24);
  }
  int32_t whole(int32_t low, int32_t high) {
    return low + static_cast<int32_t>(random_() % static_cast<uint32_t>(high - low + 1));
  }
  bool coin() { return (random_() >> 31) != 0; }

 private:
  std::mt19937 random_;
};

constexpr int32_t kVocabulary = 40;

Sampling random_sampling(Draw& draw) {
  Sampling s;
  s.temperature = draw.number(0.3F, 2);
  s.top_k = draw.coin() ? draw.whole(1, kVocabulary) : 0;
  s.top_p = draw.coin() ? draw.number(0.3F, 1) : 1;
  s.min_p = draw.coin() ? draw.number(0, 0.3F) : 0;
  s.typical_p = draw.coin() ? draw.number(0.3F, 1) : 1;
  s.top_n_sigma = draw.coin() ? draw.number(0.5F, 3) : 0;
  s.xtc_probability = draw.coin() ? 0.5F : 0;
  s.xtc_threshold = draw.number(0.02F, 0.3F);
  s.repetition_penalty = draw.coin() ? draw.number(1, 2) : 1;
  s.penalty_window = draw.whole(-1, 12);
  s.presence_penalty = draw.coin() ? draw.number(-1, 1) : 0;
  s.frequency_penalty = draw.coin() ? draw.number(-1, 1) : 0;
  s.dry_multiplier = draw.coin() ? draw.number(0, 2) : 0;
  s.dry_base = draw.number(1, 2);
  s.dry_allowed_length = draw.whole(1, 3);
  s.dry_window = draw.whole(-1, 20);
  if (draw.coin()) s.logit_bias = {{draw.whole(0, kVocabulary - 1), draw.number(-4, 4)}};
  if (draw.whole(0, 4) == 0) {
    s.mirostat_tau = draw.number(1, 4);
    s.mirostat_eta = draw.number(0, 1);
  }
  return s;
}

// 8 tokens, one after the other, so that Mirostat's memory counts too. The engine computes exp in float32, within a
// few units of the last place; probabilities of 40 candidates then agree to 1e-5.
TEST(SamplingChain, IsThatOfTheDocument) {
  int compared = 0;
  for (uint32_t round = 0; round < 1500; ++round) {
    Draw draw(round);
    const Sampling sampling = random_sampling(draw);
    const auto choice = static_cast<int32_t>(round % 3);
    Sampler sampler(sampling, round, choice, std::vector<bool>(kVocabulary, false));
    Chain chain(sampling, round, choice);
    std::vector<TokenId> tokens;
    for (int i = 0; i < 14; ++i) tokens.push_back(draw.whole(0, 3));
    const size_t prompt_tokens = 6;
    for (int step = 0; step < 8; ++step) {
      std::vector<float> logits;
      for (int32_t i = 0; i < kVocabulary; ++i) logits.push_back(draw.number(-3, 3));
      const History history{tokens, prompt_tokens};
      const Expected expected = chain.apply(logits, history);
      if (expected.close_call) break;
      const auto found = sampler.distribution(logits, history);
      ASSERT_EQ(found.size(), expected.kept.size()) << "round " << round << " step " << step;
      for (size_t i = 0; i < found.size(); ++i) {
        ASSERT_EQ(found[i].token, expected.kept[i].token) << "round " << round << " step " << step << " place " << i;
        ASSERT_NEAR(found[i].probability, expected.probability[i], 1e-5) << "round " << round;
      }
      // The draw: the first candidate at which the running sum passes the random number.
      const auto position = static_cast<int32_t>(tokens.size());
      double rest = uniform({round, choice, position, RandomUse::kDraw});
      size_t place = 0;
      while (place + 1 < found.size() && rest >= found[place].probability) rest -= found[place++].probability;
      const TokenId chosen = sampler.choose(logits, history);
      ASSERT_EQ(chosen, found[place].token);
      chain.choose(chosen);
      tokens.push_back(chosen);
      ++compared;
    }
  }
  EXPECT_GT(compared, 6000);  // close calls, where nothing can be said, must stay the exception
}

}  // namespace
}  // namespace megalith
