#pragma once
// One comparison for every backend: logits, log probabilities and greedy choices of a tiny checkpoint.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/driver.h"
#include "models/golden.h"

namespace megalith::testing {

inline constexpr int64_t kPages = 8;

inline void expect_like_the_oracle(const std::string& name, const MakeOps& make_ops, double tolerance) {
  const Golden golden = read_golden(name);
  Driver driver(checkpoint_path(name), make_ops, kPages);
  Sequence sequence;
  const std::vector<float> logits = driver.feed(sequence, golden.prompt, golden.prompt.size(), golden.logit_rows);
  EXPECT_LE(largest_difference(logits, golden.logits), tolerance);

  // A log probability is a difference of two things that are off by the logits' error.
  Driver second(checkpoint_path(name), make_ops, kPages);
  const std::vector<double> logprobs = second.token_logprobs(golden.prompt, golden.prompt.size());
  ASSERT_EQ(logprobs.size(), golden.token_logprobs.size());
  for (size_t i = 0; i < logprobs.size(); ++i) {
    EXPECT_NEAR(logprobs[i], golden.token_logprobs[i], 2 * tolerance) << "token " << i + 1;
  }

  Driver third(checkpoint_path(name), make_ops, kPages);
  EXPECT_EQ(third.greedy(golden.prompt, golden.greedy.size()), golden.greedy);
}

}  // namespace megalith::testing
