// Speculation without a trace (docs/numerics.md): a window of tokens is run, part of it discarded, the state restored
// and the accepted tokens read again, with the bits of a sequence that never saw a draft.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "models/cpu_driver.h"
#include "models/golden.h"
#include "models/probes.h"

namespace megalith::testing {
namespace {

constexpr size_t kPromptTokens = 110;  // so that windows cross the end of a page, at 128
constexpr size_t kTextTokens = 40;
constexpr size_t kWindowTokens = 6;
constexpr int64_t kPagesOfDrafts = 12;
constexpr size_t kVocabulary = 300;

/// Logits of each token after the prompt, read one at a time.
std::vector<float> without_drafts(const std::string& name, const MakeOps& make_ops, std::span<const int32_t> tokens) {
  Driver driver(checkpoint_path(name), make_ops, kPagesOfDrafts);
  Sequence sequence;
  driver.feed(sequence, tokens.first(kPromptTokens), kPromptTokens, 0);
  return driver.feed(sequence, tokens.subspan(kPromptTokens), 1, tokens.size() - kPromptTokens);
}

struct Drafted {
  std::vector<float> of_windows;  // the accepted rows of each window
  std::vector<float> of_replays;  // the same tokens, read again after the rest was discarded
  std::vector<float> of_neighbour;
};

/// Windows of which 1, 2, ... tokens are accepted in turn, beside a neighbour that decodes.
Drafted with_drafts(const std::string& name, const MakeOps& make_ops, std::span<const int32_t> tokens) {
  Driver driver(checkpoint_path(name), make_ops, kPagesOfDrafts);
  Sequence sequence;
  Sequence neighbour;
  driver.feed(neighbour, tokens.first(3), 3, 0);
  driver.feed(sequence, tokens.first(kPromptTokens), kPromptTokens, 0);
  Drafted drafted;
  Snapshot snapshot;
  size_t turn = 0;
  for (size_t begin = kPromptTokens, accepted = 0; begin < tokens.size(); begin += accepted, ++turn) {
    accepted = std::min(1 + turn % kWindowTokens, tokens.size() - begin);
    std::vector<int32_t> window(tokens.begin() + static_cast<ptrdiff_t>(begin),
                                tokens.begin() + static_cast<ptrdiff_t>(begin + accepted));
    const std::vector<int32_t> wrong =
        synthetic_tokens(kWindowTokens - window.size(), static_cast<uint32_t>(50 + turn));
    window.insert(window.end(), wrong.begin(), wrong.end());
    driver.save(sequence, snapshot);
    const std::array work{Work{&sequence, window, static_cast<int32_t>(window.size())},
                          Work{&neighbour, tokens.subspan(3 + turn, 1), 1}};
    const std::vector<float> logits = driver.step(work);
    const auto rows = [&](size_t n) { return logits.begin() + static_cast<ptrdiff_t>(n * kVocabulary); };
    drafted.of_windows.insert(drafted.of_windows.end(), logits.begin(), rows(accepted));
    drafted.of_neighbour.insert(drafted.of_neighbour.end(), rows(window.size()), logits.end());
    driver.restore(sequence, snapshot);
    const std::vector<float> replayed = driver.feed(sequence, tokens.subspan(begin, accepted), accepted, accepted);
    drafted.of_replays.insert(drafted.of_replays.end(), replayed.begin(), replayed.end());
  }
  return drafted;
}

std::vector<float> neighbour_alone(const std::string& name, const MakeOps& make_ops, std::span<const int32_t> tokens) {
  Driver driver(checkpoint_path(name), make_ops, kPagesOfDrafts);
  Sequence sequence;
  driver.feed(sequence, tokens.first(3), 3, 0);
  return driver.feed(sequence, tokens.subspan(3), 1, tokens.size() - 3);
}

class RejectedDrafts : public ::testing::TestWithParam<std::string> {};

void expect_no_trace(const std::string& name, const MakeOps& make_ops) {
  const std::vector<int32_t> tokens = synthetic_tokens(kPromptTokens + kTextTokens, 11);
  const std::vector<float> expected = without_drafts(name, make_ops, tokens);
  ASSERT_EQ(expected.size(), kTextTokens * kVocabulary);
  const Drafted drafted = with_drafts(name, make_ops, tokens);
  EXPECT_EQ(first_difference(drafted.of_windows, expected), -1);
  EXPECT_EQ(first_difference(drafted.of_replays, expected), -1);
  const size_t turns = drafted.of_neighbour.size() / kVocabulary;
  EXPECT_EQ(first_difference(drafted.of_neighbour, neighbour_alone(name, make_ops, std::span(tokens).first(3 + turns))),
            -1);
}

TEST_P(RejectedDrafts, LeaveNoTraceOnTheCpu) { expect_no_trace(GetParam(), cpu_ops(2)); }

TEST_P(RejectedDrafts, LeaveNoTraceInTheReference) {
  expect_no_trace(GetParam(), reference_ops(ReferenceNumerics::kContract));
}

INSTANTIATE_TEST_SUITE_P(Tiny, RejectedDrafts,
                         ::testing::Values("llama-q4_0", "qwen3moe", "qwen35moe", "gpt-oss", "deepseek2",
                                           "qwen3moe-mlx", "qwen2-gptq"),
                         test_name);

}  // namespace
}  // namespace megalith::testing
