#pragma once
// The tokens that a draw is made among, and the steps that thin them out. Every step keeps at least one candidate, and
// ties go to the lower token id.
#include <vector>

#include "text/tokenizer.h"

namespace megalith {

struct Candidate {
  TokenId token;
  float logit;
};

/// Likeliest first, unless a step says otherwise.
using Candidates = std::vector<Candidate>;

/// The order of likelihood.
inline bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// Sorts by likelihood and keeps the first `k` (0: all).
void keep_likeliest(Candidates& candidates, int32_t k);

/// Logits of at least max - n * standard deviation (of all finite logits). Any order in, order kept. Tang et al.,
/// "Top-n-sigma: not all logits are you need", 2024. n = 0: off.
void keep_top_n_sigma(Candidates& candidates, float n);

/// The smallest set of probability p by closeness of surprise to the entropy. Meister et al., "Locally typical
/// sampling", 2022. p = 1: off.
void keep_typical(Candidates& candidates, float p);

/// The smallest set of likeliest tokens of probability p ("nucleus", Holtzman et al., 2019). p = 1: off.
void keep_top_p(Candidates& candidates, float p);

/// Tokens of at least p times the probability of the likeliest. p = 0: off.
void keep_min_p(Candidates& candidates, float p);

/// "Exclude top choices": drops all tokens of at least `threshold` probability but the least likely of them, if there
/// are two or more (p-e-w, text-generation-webui 6335). The caller has drawn whether it applies.
void exclude_top_choices(Candidates& candidates, float threshold);

/// Tokens whose surprise, -log2 of their probability, is at most `max_surprise` bits; the likeliest always stays.
void keep_unsurprising(Candidates& candidates, double max_surprise);

/// Probabilities of the candidates among themselves, in their order.
std::vector<double> probabilities(const Candidates& candidates);

}  // namespace megalith
