#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"
#include "engine/random.h"
#include "engine/sampler.h"

namespace megalith {
namespace {

Sampling plain() {
  Sampling sampling;
  sampling.temperature = 1;
  sampling.top_k = 0;
  sampling.top_p = 1;
  sampling.min_p = 0;
  return sampling;
}

/// A history that is all prompt.
History prompt(const std::vector<TokenId>& tokens) { return {tokens, tokens.size()}; }

const std::vector<TokenId> kNothing;

std::vector<TokenId> candidates(const Sampling& sampling, const std::vector<float>& logits,
                                const std::vector<TokenId>& history = kNothing) {
  std::vector<TokenId> tokens;
  for (const auto& weighted : Sampler(sampling, 1, 0).distribution(logits, prompt(history)))
    tokens.push_back(weighted.token);
  return tokens;
}

// The known-answer vectors that the authors publish with Random123.
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, UniformIsAFunctionOfItsKeyAlone) {
  EXPECT_EQ(uniform({42, 0, 7, RandomUse::kDraw}), uniform({42, 0, 7, RandomUse::kDraw}));
  EXPECT_NE(uniform({42, 0, 7, RandomUse::kDraw}), uniform({42, 0, 8, RandomUse::kDraw}));
  EXPECT_NE(uniform({42, 0, 7, RandomUse::kDraw}), uniform({42, 1, 7, RandomUse::kDraw}));
  EXPECT_NE(uniform({42, 0, 7, RandomUse::kDraw}), uniform({43, 0, 7, RandomUse::kDraw}));
  EXPECT_NE(uniform({42, 0, 7, RandomUse::kDraw}), uniform({42, 0, 7, RandomUse::kExcludeTopChoices}));
  EXPECT_NE(uniform({42, 0, 7, RandomUse::kDraw}), uniform({42 + (1ULL << 32), 0, 7, RandomUse::kDraw}));
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowerIdOfEquals) {
  Sampling sampling = plain();
  sampling.temperature = 0;
  EXPECT_EQ(Sampler(sampling, 1, 0).choose(std::vector<float>{1, 5, 3, 5}, prompt(kNothing)), 1);
}

TEST(Sampler, TopKKeepsTheLikeliestInOrder) {
  Sampling sampling = plain();
  sampling.top_k = 3;
  EXPECT_EQ(candidates(sampling, {0, 4, 2, 4, 1}), (std::vector<TokenId>{1, 3, 2}));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesP) {
  Sampling sampling = plain();
  const std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
  sampling.top_p = 0.79F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0, 1}));
  sampling.top_p = 0.81F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0, 1, 2}));
  sampling.top_p = 1e-6F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0}));
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  Sampling sampling = plain();
  const std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
  sampling.min_p = 0.29F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0, 1, 2}));
  sampling.min_p = 0.31F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0, 1}));
  sampling.min_p = 1;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0}));
}

TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegativeLogitsOnce) {
  Sampling sampling = plain();
  sampling.temperature = 0;
  sampling.repetition_penalty = 2;
  const std::vector<float> logits = {4, 3, 1, -1};
  EXPECT_EQ(Sampler(sampling, 1, 0).choose(logits, prompt({0, 0, 0})), 1);  // 4 -> 2, not 0.5
  sampling.penalty_window = 1;
  EXPECT_EQ(Sampler(sampling, 1, 0).choose(logits, prompt({0, 3})), 0);                   // only token 3 is recent
  EXPECT_EQ(Sampler(sampling, 1, 0).choose(std::vector<float>{-3, -2}, prompt({1})), 0);  // -2 -> -4
}

// Pearson's test of drawn frequencies against the softmax with temperature: with 9 degrees of freedom, a statistic
// above 27.9 has probability 0.001. The seeds are fixed, so the outcome is too.
TEST(Sampler, DrawsFollowTheSoftmax) {
  Sampling sampling = plain();
  sampling.temperature = 0.7F;
  std::vector<float> logits;
  for (int i = 0; i < 10; ++i) logits.push_back(static_cast<float>(std::sin(i * 2.0)));
  std::vector<double> expected;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit / 0.7);
  for (const float logit : logits) expected.push_back(std::exp(logit / 0.7) / sum);
  constexpr int kDraws = 20000;
  std::vector<int> counts(10, 0);
  std::vector<TokenId> history;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[static_cast<size_t>(Sampler(sampling, static_cast<uint64_t>(i), 0).choose(logits, prompt(history)))];
  }
  double statistic = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double wanted = expected[i] * kDraws;
    statistic += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
  }
  EXPECT_LT(statistic, 27.9);
}

TEST(Sampler, TheSameSeedAndPositionGiveTheSameToken) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(std::cos(static_cast<double>(i)));
  const std::vector<TokenId> history = {1, 2, 3};
  Sampler used(plain(), 5, 0);
  (void)used.choose(logits, prompt({9}));  // what it drew before must not matter
  EXPECT_EQ(used.choose(logits, prompt(history)), Sampler(plain(), 5, 0).choose(logits, prompt(history)));
}

TEST(Sampler, TopNSigmaCutsBelowTheLargestByDeviations) {
  // Mean 2, standard deviation 2: one deviation below the largest (6) is 4.
  const std::vector<float> logits = {0, 6, 2, 2, 4.1F, 1, 1, -0.1F};
  double mean = 0;
  double squares = 0;
  for (const float logit : logits) {
    mean += logit / 8.0;
    squares += logit * logit / 8.0;
  }
  const double deviation = std::sqrt(squares - mean * mean);
  Sampling sampling = plain();
  sampling.top_n_sigma = static_cast<float>(1.95 / deviation);
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{1, 4}));
  sampling.top_n_sigma = static_cast<float>(1.85 / deviation);
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{1}));
}

TEST(Sampler, TypicalKeepsWhatIsAsSurprisingAsExpected) {
  // Entropy of (0.5, 0.25, 0.125, 0.125) is 1.75 bits; distances of the surprises (1, 2, 3, 3) are 0.75,
  // 0.25, 1.25, 1.25.
  const std::vector<float> logits = {std::log(0.5F), std::log(0.25F), std::log(0.125F), std::log(0.125F)};
  Sampling sampling = plain();
  sampling.typical_p = 0.2F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{1}));
  sampling.typical_p = 0.7F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0, 1}));
  sampling.typical_p = 0.8F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0, 1, 2}));
}

TEST(Sampler, XtcLeavesOutTheLikeliestButTheLast) {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.25F), std::log(0.15F), std::log(0.1F)};
  Sampling sampling = plain();
  sampling.xtc_probability = 1;
  sampling.xtc_threshold = 0.14F;
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{2, 3}));
  sampling.xtc_threshold = 0.3F;  // only one is above: nothing happens
  EXPECT_EQ(candidates(sampling, logits), (std::vector<TokenId>{0, 1, 2, 3}));
  // It applies with its probability: 0.3 of 2,000 is 600, standard deviation 20.5.
  sampling.xtc_threshold = 0.14F;
  sampling.xtc_probability = 0.3F;
  int applied = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    applied += Sampler(sampling, seed, 0).distribution(logits, prompt(kNothing)).size() == 2 ? 1 : 0;
  }
  EXPECT_NEAR(applied, 600, 4 * 20.5);
}

TEST(Sampler, MirostatLimitsSurpriseAndLearns) {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.25F), std::log(0.125F), std::log(0.125F)};
  Sampling sampling = plain();
  sampling.mirostat_tau = 1.01F;  // the limit starts at 2.02 bits: surprises 1 and 2 stay, 3 goes
  sampling.mirostat_eta = 0.5F;
  Sampler sampler(sampling, 3, 0);
  EXPECT_EQ(sampler.distribution(logits, prompt(kNothing)).size(), 2U);
  const TokenId chosen = sampler.choose(logits, prompt(kNothing));
  // Among (2/3, 1/3): the limit falls by eta * (surprise - tau), below 2 bits only after the second token's 1.58.
  const double surprise = -std::log2(chosen == 0 ? 2.0 / 3 : 1.0 / 3);
  const double limit = 2.02 - 0.5 * (surprise - 1.01);
  EXPECT_EQ(sampler.distribution(logits, prompt(kNothing)).size(), limit >= 2 ? 2U : 1U);
}

TEST(Sampler, PresenceAndFrequencyPenaltiesLookAtTheAnswerOnly) {
  Sampling sampling = plain();
  sampling.temperature = 0;
  sampling.presence_penalty = 0.5F;
  sampling.frequency_penalty = 1.0F;
  const std::vector<TokenId> tokens = {0, 0, 0, 1, 1, 2};
  const History history{tokens, 3};
  // Answer: 1 twice (-2.5), 2 once (-1.5); the prompt's 0 costs nothing.
  EXPECT_EQ(Sampler(sampling, 1, 0).choose(std::vector<float>{1, 3.4F, 2.4F, 0}, history), 0);
  EXPECT_EQ(Sampler(sampling, 1, 0).choose(std::vector<float>{1, 3.6F, 2.4F, 0}, history), 1);
}

TEST(Sampler, LogitBiasAddsAndForbids) {
  Sampling sampling = plain();
  sampling.temperature = 0;
  sampling.logit_bias = {{0, -std::numeric_limits<float>::infinity()}, {2, 5}};
  EXPECT_EQ(Sampler(sampling, 1, 0).choose(std::vector<float>{9, 1, -1}, prompt(kNothing)), 2);
  sampling.temperature = 1;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_NE(Sampler(sampling, seed, 0).choose(std::vector<float>{9, 1, -1}, prompt(kNothing)), 0);
  }
}

// The definition, in plain loops: for each earlier place, how many tokens before it equal those that end the history.
std::map<TokenId, int32_t> continuations_by_definition(const std::vector<TokenId>& tokens,
                                                       const std::vector<bool>& breaks) {
  std::map<TokenId, int32_t> longest;
  const auto size = static_cast<int32_t>(tokens.size());
  const auto at = [&](int32_t i) { return tokens[static_cast<size_t>(i)]; };
  for (int32_t next = 1; next < size; ++next) {
    int32_t n = 0;
    while (next - 1 - n >= 0 && at(next - 1 - n) == at(size - 1 - n) &&
           !breaks[static_cast<size_t>(at(size - 1 - n))]) {
      ++n;
    }
    if (n > 0) longest[at(next)] = std::max(longest[at(next)], n);
  }
  return longest;
}

TEST(Sampler, RepeatedContinuationsAreThoseOfTheDefinition) {
  uint64_t state = 5;
  for (int round = 0; round < 500; ++round) {
    std::vector<TokenId> tokens;
    const size_t length = 1 + static_cast<size_t>(round) % 60;
    for (size_t i = 0; i < length; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      tokens.push_back(static_cast<TokenId>((state >> 33) % (2 + static_cast<uint64_t>(round) % 4)));
    }
    std::vector<bool> breaks(8, false);
    breaks[3] = round % 2 == 0;
    std::map<TokenId, int32_t> found;
    for (const auto& [token, n] : repeated_continuations(tokens, breaks)) found[token] = n;
    EXPECT_EQ(found, continuations_by_definition(tokens, breaks)) << "round " << round;
  }
}

TEST(Sampler, DryPenaltyGrowsWithTheRepeatedLength) {
  Sampling sampling = plain();
  sampling.dry_multiplier = 2;
  sampling.dry_base = 3;
  sampling.dry_allowed_length = 2;
  const std::vector<TokenId> tokens = {1, 2, 3, 4, 0, 1, 2, 3};  // 4 would repeat 1 2 3: n = 3, penalty 2 * 3^1
  std::vector<float> logits(6, 0.0F);
  penalise_sequences(logits, sampling, prompt(tokens), std::vector<bool>(6, false));
  EXPECT_EQ(logits, (std::vector<float>{0, 0, 0, 0, -6, 0}));
  std::vector<bool> breaks(6, false);
  breaks[2] = true;  // nothing reaches across token 2: n = 1, allowed
  logits.assign(6, 0.0F);
  penalise_sequences(logits, sampling, prompt(tokens), breaks);
  EXPECT_EQ(logits, std::vector<float>(6, 0.0F));
}

TEST(Sampler, LogprobsAreThoseOfTheModel) {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.25F), std::log(0.25F)};
  const Logprobs found = logprobs(logits, 1, 2);
  EXPECT_NEAR(found.chosen, std::log(0.25), 1e-6);
  ASSERT_EQ(found.top.size(), 2U);
  EXPECT_EQ(found.top[0].token, 0);
  EXPECT_EQ(found.top[1].token, 1);
  EXPECT_NEAR(found.top[0].logprob, std::log(0.5), 1e-6);
}

TEST(Sampler, RefusesWhatIsOutOfRangeByName) {
  const auto message = [](const Sampling& sampling) -> std::string {
    try {
      validate(sampling, 100);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
  };
  EXPECT_EQ(message(plain()), "");
  Sampling sampling = plain();
  sampling.temperature = -1;
  EXPECT_NE(message(sampling).find("temperature"), std::string::npos);
  sampling = plain();
  sampling.top_p = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(message(sampling).find("top-p"), std::string::npos);
  sampling = plain();
  sampling.logit_bias = {{100, 1.0F}};
  EXPECT_NE(message(sampling).find("100"), std::string::npos);
  sampling = plain();
  sampling.top_k = -1;
  EXPECT_NE(message(sampling).find("top-k"), std::string::npos);
  sampling = plain();
  sampling.repetition_penalty = 0;
  EXPECT_NE(message(sampling).find("repetition"), std::string::npos);
}

}  // namespace
}  // namespace megalith
