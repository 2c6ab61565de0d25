#include "engine/sampler.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/random.h"
#include "ops/math.h"

namespace megalith {

namespace {

void require(bool holds, std::string_view parameter, double value, std::string_view range) {
  if (!holds) throw Error(ErrorKind::kUsage, fmt::format("{} is {}, but must be {}", parameter, value, range));
}

}  // namespace

void validate(const Sampling& s, int32_t vocabulary_size) {
  require(s.temperature >= 0 && s.temperature <= 100, "temperature", s.temperature, "between 0 and 100");
  require(s.top_k >= 0, "top-k", s.top_k, "0 (off) or more");
  require(s.top_p > 0 && s.top_p <= 1, "top-p", s.top_p, "above 0 and at most 1 (off)");
  require(s.min_p >= 0 && s.min_p <= 1, "min-p", s.min_p, "between 0 (off) and 1");
  require(s.typical_p > 0 && s.typical_p <= 1, "typical-p", s.typical_p, "above 0 and at most 1 (off)");
  require(s.top_n_sigma >= 0 && s.top_n_sigma <= 1e6, "top-n-sigma", s.top_n_sigma, "0 (off) or more");
  require(s.xtc_probability >= 0 && s.xtc_probability <= 1, "xtc-probability", s.xtc_probability, "between 0 and 1");
  require(s.xtc_threshold >= 0 && s.xtc_threshold <= 1, "xtc-threshold", s.xtc_threshold, "between 0 and 1");
  require(s.mirostat_tau >= 0 && s.mirostat_tau <= 100, "mirostat-tau", s.mirostat_tau, "between 0 (off) and 100");
  require(s.mirostat_eta >= 0 && s.mirostat_eta <= 10, "mirostat-eta", s.mirostat_eta, "between 0 and 10");
  require(s.repetition_penalty > 0 && s.repetition_penalty <= 100, "repetition penalty", s.repetition_penalty,
          "above 0 and at most 100; 1 is off");
  require(s.penalty_window >= -1, "penalty window", s.penalty_window, "-1 (all) or more");
  require(s.presence_penalty >= -100 && s.presence_penalty <= 100, "presence penalty", s.presence_penalty,
          "between -100 and 100");
  require(s.frequency_penalty >= -100 && s.frequency_penalty <= 100, "frequency penalty", s.frequency_penalty,
          "between -100 and 100");
  require(s.dry_multiplier >= 0 && s.dry_multiplier <= 100, "dry-multiplier", s.dry_multiplier,
          "between 0 (off) and 100");
  require(s.dry_base >= 1 && s.dry_base <= 100, "dry-base", s.dry_base, "between 1 and 100");
  require(s.dry_allowed_length >= 1, "dry-allowed-length", s.dry_allowed_length, "1 or more");
  require(s.dry_window >= -1, "dry-window", s.dry_window, "-1 (all) or more");
  for (const std::string& breaker : s.dry_breakers) {
    if (breaker.empty()) throw Error(ErrorKind::kUsage, "a dry-breaker is empty; it would match every token");
  }
  for (const auto& [token, bias] : s.logit_bias) {
    require(token >= 0 && token < vocabulary_size, "a logit bias's token id", token,
            fmt::format("below the vocabulary's size, {}", vocabulary_size));
    require(!std::isnan(bias) && bias < 1e30, "a logit bias", bias, "a number below 1e30");
  }
}

std::vector<bool> tokens_holding(const Tokenizer& tokenizer, const std::vector<std::string>& strings) {
  std::vector<bool> holding(static_cast<size_t>(tokenizer.size()), false);
  for (TokenId token = 0; token < tokenizer.size(); ++token) {
    const std::string_view bytes = tokenizer.bytes(token, Tokenizer::Special::kRender);
    holding[static_cast<size_t>(token)] = std::any_of(strings.begin(), strings.end(), [&](const std::string& string) {
      return bytes.find(string) != std::string_view::npos;
    });
  }
  return holding;
}

TokenId argmax(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Sampler::Sampler(const Sampling& sampling, uint64_t seed, int32_t choice, std::vector<bool> dry_breaks)
    : sampling_(sampling),
      seed_(seed),
      choice_(choice),
      dry_breaks_(std::move(dry_breaks)),
      mirostat_mu_(2.0 * static_cast<double>(sampling.mirostat_tau)) {}

std::span<const float> Sampler::adjust(std::span<const float> logits, const History& history) {
  if (!changes_logits(sampling_)) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  add_bias(adjusted_, sampling_);
  penalise_repetition(adjusted_, sampling_, history);
  penalise_sequences(adjusted_, sampling_, history, dry_breaks_);
  return adjusted_;
}

void Sampler::thin(int32_t position) {
  if (sampling_.mirostat_tau > 0) {
    keep_likeliest(candidates_, 0);
    for (Candidate& candidate : candidates_) candidate.logit /= sampling_.temperature;
    keep_unsurprising(candidates_, mirostat_mu_);
    return;
  }
  keep_top_n_sigma(candidates_, sampling_.top_n_sigma);
  keep_likeliest(candidates_, sampling_.top_k);
  keep_typical(candidates_, sampling_.typical_p);
  keep_top_p(candidates_, sampling_.top_p);
  keep_min_p(candidates_, sampling_.min_p);
  if (sampling_.xtc_probability > 0 &&
      uniform({seed_, choice_, position, RandomUse::kExcludeTopChoices}) < sampling_.xtc_probability) {
    exclude_top_choices(candidates_, sampling_.xtc_threshold);
  }
  for (Candidate& candidate : candidates_) candidate.logit /= sampling_.temperature;
}

std::vector<Sampler::Weighted> Sampler::distribution(std::span<const float> raw_logits, const History& history) {
  const std::span<const float> logits = adjust(raw_logits, history);
  if (sampling_.temperature == 0) return {{argmax(logits), 1.0}};
  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) candidates_[i] = {static_cast<TokenId>(i), logits[i]};
  thin(static_cast<int32_t>(history.tokens.size()));
  const std::vector<double> probability = probabilities(candidates_);
  std::vector<Weighted> weighted;
  weighted.reserve(candidates_.size());
  for (size_t i = 0; i < candidates_.size(); ++i) weighted.push_back({candidates_[i].token, probability[i]});
  return weighted;
}

TokenId Sampler::choose(std::span<const float> logits, const History& history) {
  if (sampling_.temperature == 0) return argmax(adjust(logits, history));
  const std::vector<Weighted> weighted = distribution(logits, history);
  double rest = uniform({seed_, choice_, static_cast<int32_t>(history.tokens.size()), RandomUse::kDraw});
  size_t chosen = 0;
  // Rounding may leave a rest after the last candidate: it is the last one's.
  while (chosen + 1 < weighted.size() && (rest -= weighted[chosen].probability) >= 0) ++chosen;
  if (sampling_.mirostat_tau > 0) {
    const double surprise = -std::log2(weighted[chosen].probability);
    mirostat_mu_ -=
        static_cast<double>(sampling_.mirostat_eta) * (surprise - static_cast<double>(sampling_.mirostat_tau));
  }
  return weighted[chosen].token;
}

Logprobs logprobs(std::span<const float> logits, TokenId token, int32_t n) {
  const float best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += exp_float(logit - best);
  const double log_sum = std::log(sum);
  const auto logprob = [&](float logit) { return static_cast<float>(static_cast<double>(logit - best) - log_sum); };
  Logprobs result;
  result.chosen = logprob(logits[static_cast<size_t>(token)]);
  if (n > 0) {
    Candidates candidates(logits.size());
    for (size_t i = 0; i < logits.size(); ++i) candidates[i] = {static_cast<TokenId>(i), logits[i]};
    keep_likeliest(candidates, n);
    for (const Candidate& c : candidates) result.top.push_back({c.token, logprob(c.logit)});
  }
  return result;
}

}  // namespace megalith
