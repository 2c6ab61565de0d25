#pragma once
// What changes logits before the choice: bias, and penalties for what was said already.
#include <span>
#include <vector>

#include "engine/engine.h"

namespace megalith {

/// The tokens so far: a prompt, then the answer.
struct History {
  std::span<const TokenId> tokens;
  size_t prompt_tokens = 0;
  std::span<const TokenId> answer() const { return tokens.subspan(prompt_tokens); }
  /// The last `n` tokens; all for -1.
  std::span<const TokenId> recent(int32_t n) const;
};

/// Whether any of the functions below would change a logit.
bool changes_logits(const Sampling& sampling);

void add_bias(std::span<float> logits, const Sampling& sampling);

/// Repetition penalty (Keskar et al., "CTRL", 2019), once for each distinct token; presence and frequency penalties as
/// the OpenAI API documents them, over the answer.
void penalise_repetition(std::span<float> logits, const Sampling& sampling, const History& history);

/// "Don't repeat yourself" (p-e-w, text-generation-webui 5677): a token that would continue a sequence which ends the
/// history and stood before, n >= allowed_length tokens long, loses multiplier * base^(n - allowed_length), n being the
/// longest such. `breaks`: [vocabulary] whether no sequence reaches across a token.
void penalise_sequences(std::span<float> logits, const Sampling& sampling, const History& history,
                        const std::vector<bool>& breaks);

/// The longest n, for each token in `continued`, such that the last n tokens stood before, followed by that token.
/// Linear in the window. Exposed for tests.
struct Continuation {
  TokenId token;
  int32_t length;
};
std::vector<Continuation> repeated_continuations(std::span<const TokenId> window, const std::vector<bool>& breaks);

}  // namespace megalith
