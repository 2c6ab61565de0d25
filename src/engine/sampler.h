#pragma once
// From logits to a token: the chain that docs/sampling.md describes. The draw is a function of (seed, choice,
// position).
#include <cstdint>
#include <span>
#include <vector>

#include "engine/candidates.h"
#include "engine/engine.h"
#include "engine/penalties.h"

namespace megalith {

/// Throws kUsage naming the first parameter that is out of range, not a number, or speaks of a token outside the
/// vocabulary.
void validate(const Sampling& sampling, int32_t vocabulary_size);

/// For each token of a tokenizer, whether its bytes hold one of the strings.
std::vector<bool> tokens_holding(const Tokenizer& tokenizer, const std::vector<std::string>& strings);

/// Chooses the tokens of one answer, one after the other: Mirostat remembers its running target.
class Sampler {
 public:
  /// `dry_breaks`: [vocabulary], see tokens_holding(); empty if DRY is off.
  Sampler(const Sampling& sampling, uint64_t seed, int32_t choice, std::vector<bool> dry_breaks = {});
  /// The token that will stand at position history.tokens.size().
  TokenId choose(std::span<const float> logits, const History& history);
  /// The candidates that the draw is made among, likeliest first, with their probabilities.
  struct Weighted {
    TokenId token;
    double probability;
  };
  std::vector<Weighted> distribution(std::span<const float> logits, const History& history);

 private:
  std::span<const float> adjust(std::span<const float> logits, const History& history);
  void thin(int32_t position);

  Sampling sampling_;
  uint64_t seed_;
  int32_t choice_;
  std::vector<bool> dry_breaks_;
  double mirostat_mu_;           // bits; the running limit of surprise
  std::vector<float> adjusted_;  // [vocabulary], only when bias or penalties are on
  Candidates candidates_;
};

/// The token of the largest logit, the lowest id of equals.
TokenId argmax(std::span<const float> logits);

/// Log-probabilities under the model's own distribution (no bias or penalty, temperature 1): of `token`, and of the `n`
/// likeliest.
struct Logprobs {
  float chosen = 0;
  std::vector<TokenLogprob> top;
};
Logprobs logprobs(std::span<const float> logits, TokenId token, int32_t n);

}  // namespace megalith
