// Eval against an engine of which everything is known: events in an order of the test's choosing, log-probabilities
// that can be added up by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <string>

#include "eval/drive.h"
#include "eval/logits.h"
#include "eval/perplexity.h"

namespace megalith {
namespace {

/// One token for each byte of text. A prompt token's log-probability is -(token % 4); requests finish in the reverse
/// order of their submission, and only when asked for events.
class FakeEngine final : public Engine {
 public:
  EngineProperties values;
  bool wants_bos = false;
  bool gives_logprobs = true;
  std::vector<Request> seen;
  std::vector<uint64_t> cancelled;
  uint64_t failing_id = UINT64_MAX;
  int tokens_before_end = 0;

  FakeEngine() {
    values.context_tokens = 200;
    values.vocabulary_size = 300;
    values.bos = 1;
  }
  const EngineProperties& properties() const override { return values; }
  std::vector<Ledger::Line> memory() const override { return {}; }
  std::vector<TokenId> tokenize(std::string_view text, EncodeOptions options) const override {
    std::vector<TokenId> tokens;
    if (options.add_special && wants_bos) tokens.push_back(*values.bos);
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  std::string detokenize(const std::vector<TokenId>&, Tokenizer::Special) const override { return {}; }
  std::string apply_template(const std::string&) const override { return {}; }
  void submit(Request request) override {
    if (request.prompt.empty()) throw Error(ErrorKind::kUsage, "empty");
    seen.push_back(request);
    open_.push_back(std::move(request));
  }
  void cancel(uint64_t id) override { cancelled.push_back(id); }
  std::optional<Event> next_event(std::chrono::milliseconds) override {
    if (open_.empty()) return std::nullopt;
    Event event;
    event.request = open_.back().id;
    if (tokens_before_end > 0) {
      --tokens_before_end;
      event.text = "x";
      return event;
    }
    const Request request = std::move(open_.back());
    open_.pop_back();
    event.kind = Event::Kind::kFinished;
    for (const uint64_t id : cancelled) {
      if (id == request.id) event.reason = FinishReason::kCancelled;
    }
    if (request.id == failing_id) {
      event.reason = FinishReason::kError;
      event.error_kind = ErrorKind::kDoesNotFit;
      event.error = "too large";
    }
    event.usage.prompt_tokens = static_cast<int32_t>(request.prompt.size());
    for (size_t i = 1; i < request.prompt.size() && gives_logprobs; ++i)
      event.prompt_logprobs.push_back(-static_cast<float>(request.prompt[i] % 4));
    event.last_logits = {static_cast<float>(request.prompt.size())};
    return event;
  }
  int32_t in_flight() const override { return static_cast<int32_t>(open_.size()); }
  std::vector<CostMeter::Line> take_profile() override { return {}; }

 private:
  std::deque<Request> open_;
};

Request request_of(uint64_t id, size_t length) {
  Request request;
  request.id = id;
  request.prompt.assign(length, 5);
  return request;
}

ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::kRuntime;
}

TEST(Drive, ReturnsInTheOrderOfSubmission) {
  FakeEngine engine;
  const std::vector<Event> finished = drive(engine, {request_of(7, 3), request_of(8, 1), request_of(9, 2)});
  ASSERT_EQ(finished.size(), 3U);
  EXPECT_EQ(finished[0].usage.prompt_tokens, 3);
  EXPECT_EQ(finished[1].usage.prompt_tokens, 1);
  EXPECT_EQ(finished[2].usage.prompt_tokens, 2);
}

TEST(Drive, HandsOutTokensAndStopsWhenAsked) {
  FakeEngine engine;
  engine.tokens_before_end = 5;
  int tokens = 0;
  DriveHooks hooks;
  hooks.on_token = [&](const Event& event) {
    EXPECT_EQ(event.text, "x");
    ++tokens;
  };
  hooks.stop_requested = [&] { return tokens == 2; };
  const Event finished = drive_one(engine, request_of(7, 3), hooks);
  EXPECT_EQ(finished.reason, FinishReason::kCancelled);
  EXPECT_EQ(engine.cancelled, std::vector<uint64_t>{7});
  EXPECT_EQ(tokens, 2) << "no token is shown after the answer was broken off";
}

TEST(Drive, LeavesNothingInFlightWhenAHookThrows) {
  FakeEngine engine;
  engine.tokens_before_end = 3;
  DriveHooks hooks;
  hooks.on_token = [](const Event&) { throw Error(ErrorKind::kRuntime, "full disk"); };
  EXPECT_EQ(kind_of([&] { drive(engine, {request_of(1, 1), request_of(2, 1)}, hooks); }), ErrorKind::kRuntime);
  EXPECT_EQ(engine.in_flight(), 0);
  EXPECT_EQ(engine.cancelled.size(), 2U);
}

TEST(Drive, LeavesNothingInFlightWhenALaterRequestIsRefused) {
  FakeEngine engine;
  EXPECT_EQ(kind_of([&] { drive(engine, {request_of(1, 1), request_of(2, 0)}); }), ErrorKind::kUsage);
  EXPECT_EQ(engine.in_flight(), 0);
}

TEST(Drive, AnErrorOfOneRequestIsItsOwn) {
  FakeEngine engine;
  engine.failing_id = 2;
  const std::vector<Event> finished = drive(engine, {request_of(1, 1), request_of(2, 1)});
  EXPECT_NE(finished[0].reason, FinishReason::kError);
  EXPECT_EQ(finished[1].reason, FinishReason::kError);
  EXPECT_EQ(kind_of([&] { drive_one(engine, request_of(2, 1)); }), ErrorKind::kDoesNotFit);
}

TEST(Logits, TheProbedRequestIsAmongNeighboursOfOtherLengths) {
  FakeEngine engine;
  LogitsProbe probe;
  probe.tokens = {1, 2, 3, 6};
  probe.neighbours = 7;
  const LogitsResult result = probe_logits(engine, probe);
  EXPECT_EQ(result.token_logprobs, (std::vector<float>{-2, -3, -2}));
  EXPECT_EQ(result.last, std::vector<float>{4});
  ASSERT_EQ(engine.seen.size(), 8U);
  EXPECT_NE(engine.seen.front().prompt, probe.tokens);
  EXPECT_NE(engine.seen.back().prompt, probe.tokens);
  std::vector<size_t> lengths;
  for (const Request& request : engine.seen) {
    lengths.push_back(request.prompt.size());
    EXPECT_LE(static_cast<int32_t>(request.prompt.size()) + request.max_tokens, engine.values.context_tokens);
    for (const TokenId token : request.prompt) EXPECT_TRUE(token >= 0 && token < engine.values.vocabulary_size);
  }
  std::sort(lengths.begin(), lengths.end());
  EXPECT_EQ(std::unique(lengths.begin(), lengths.end()), lengths.end()) << "all lengths differ";
}

TEST(Logits, NeighboursFitAShortContext) {
  FakeEngine engine;
  engine.values.context_tokens = 8;
  LogitsProbe probe;
  probe.tokens = {1};
  probe.neighbours = 3;
  probe_logits(engine, probe);
  for (const Request& request : engine.seen) EXPECT_LE(request.prompt.size(), 8U);
}

TEST(Perplexity, OfOneWindow) {
  FakeEngine engine;
  const PerplexityResult result = measure_perplexity(engine, "\x01\x02\x03\x02", {});
  EXPECT_EQ(result.scored_tokens, 3);
  EXPECT_EQ(result.windows, 1);
  EXPECT_DOUBLE_EQ(result.mean_log_likelihood, -(2.0 + 3.0 + 2.0) / 3);
  EXPECT_DOUBLE_EQ(result.perplexity, std::exp(7.0 / 3));
  // Of (2, 3, 2): variance 1/3, error of the mean sqrt(1/9).
  EXPECT_NEAR(result.standard_error, result.perplexity / 3, 1e-12);
}

TEST(Perplexity, WindowsDoNotOverlapAndALeftOverTokenIsNotScored) {
  FakeEngine engine;
  PerplexityOptions options;
  options.window_tokens = 3;
  int64_t last_done = 0;
  options.progress = [&](int64_t done, int64_t all) {
    EXPECT_GT(done, last_done);
    EXPECT_EQ(all, 7);
    last_done = done;
  };
  const PerplexityResult result = measure_perplexity(engine, "abcdefg", options);
  EXPECT_EQ(result.windows, 2);
  EXPECT_EQ(result.scored_tokens, 4);
  ASSERT_EQ(engine.seen.size(), 2U);
  EXPECT_EQ(engine.seen[1].prompt, (std::vector<TokenId>{'d', 'e', 'f'}));
}

TEST(Perplexity, BeginsEachWindowWithBosWhereTheModelWantsIt) {
  FakeEngine engine;
  engine.wants_bos = true;
  PerplexityOptions options;
  options.window_tokens = 3;
  const PerplexityResult result = measure_perplexity(engine, "abc", options);
  EXPECT_EQ(result.scored_tokens, 3);
  ASSERT_EQ(engine.seen.size(), 2U);
  EXPECT_EQ(engine.seen[0].prompt, (std::vector<TokenId>{1, 'a', 'b'}));
  EXPECT_EQ(engine.seen[1].prompt, (std::vector<TokenId>{1, 'c'}));
}

TEST(Perplexity, RefusesWhatItCannotMeasure) {
  FakeEngine engine;
  EXPECT_EQ(kind_of([&] { measure_perplexity(engine, "a", {}); }), ErrorKind::kUsage);
  PerplexityOptions options;
  options.window_tokens = 1;
  EXPECT_EQ(kind_of([&] { measure_perplexity(engine, "abc", options); }), ErrorKind::kUsage);
  options.window_tokens = engine.values.context_tokens + 1;
  EXPECT_EQ(kind_of([&] { measure_perplexity(engine, "abc", options); }), ErrorKind::kUsage);
  for (const bool wants_bos : {false, true}) {
    FakeEngine tiny;  // the window comes from the context, which may be 1 token (MEGALITH_CTX)
    tiny.wants_bos = wants_bos;
    tiny.values.context_tokens = 1;
    EXPECT_EQ(kind_of([&] { measure_perplexity(tiny, "abc", {}); }), ErrorKind::kUsage);
    tiny.values.context_tokens = 2;
    EXPECT_EQ(measure_perplexity(tiny, "abcd", {}).scored_tokens, wants_bos ? 4 : 2);
    tiny.gives_logprobs = false;
    EXPECT_EQ(kind_of([&] { measure_perplexity(tiny, "abcd", {}); }), ErrorKind::kUsage);
  }
  PerplexityOptions interrupted;
  interrupted.stop_requested = [] { return true; };
  EXPECT_EQ(kind_of([&] { measure_perplexity(engine, "abc", interrupted); }), ErrorKind::kInterrupted);
}

}  // namespace
}  // namespace megalith
