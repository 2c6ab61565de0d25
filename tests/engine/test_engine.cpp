// The engine on tiny checkpoints: events, limits, errors, and P3 seen from outside.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/engine.h"
#include "files/gguf_builder.h"
#include "ops/ops.h"
#include "text/detokenizer.h"

namespace megalith {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

std::string checkpoint(const std::string& name) {
  return std::string(MEGALITH_TEST_DATA) + "/models/data/" + name + ".gguf";
}

EngineOptions options_for(const std::string& name) {
  EngineOptions options;
  options.model_path = checkpoint(name);
  options.threads = 2;
  return options;
}

struct Answer {
  std::vector<TokenId> tokens;
  std::string text;
  std::vector<float> logprobs;
  Event finished;
};

/// Pumps events until every request has finished.
std::map<uint64_t, Answer> collect(Engine& engine, size_t requests) {
  std::map<uint64_t, Answer> answers;
  size_t finished = 0;
  while (finished < requests) {
    // Only a deadlock should end this: a sanitized build on a busy machine is a hundred times slower.
    const std::optional<Event> event = engine.next_event(std::chrono::minutes(9));
    if (!event) {
      ADD_FAILURE() << "no event for nine minutes";
      break;
    }
    Answer& answer = answers[event->request];
    answer.text += event->text;
    if (event->kind == Event::Kind::kToken) {
      answer.tokens.push_back(event->token);
      if (event->logprob) answer.logprobs.push_back(*event->logprob);
    } else {
      answer.finished = *event;
      ++finished;
    }
  }
  return answers;
}

Answer ask(Engine& engine, Request request) {
  const uint64_t id = request.id;
  engine.submit(std::move(request));
  return collect(engine, 1).at(id);
}

std::vector<TokenId> some_prompt(size_t length, uint64_t seed) {
  std::vector<TokenId> prompt;
  uint64_t state = seed * 2654435761U + 1;
  for (size_t i = 0; i < length; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    prompt.push_back(static_cast<TokenId>((state >> 33) % 250));
  }
  return prompt;
}

Request greedy(uint64_t id, std::vector<TokenId> prompt, int32_t max_tokens) {
  Request request;
  request.id = id;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.probes.ignore_end = true;
  return request;
}

std::string error_of(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(Engine, ShowsTheTextOfTheControlTokensAskedFor) {
  const auto engine = open_engine(options_for("qwen2"));
  const auto is_control = [&](TokenId token) { return engine->detokenize({token}, Tokenizer::Special::kOmit).empty(); };
  ASSERT_TRUE(is_control(0) && is_control(1));
  const std::string text = engine->detokenize({1}, Tokenizer::Special::kRender);
  ASSERT_FALSE(text.empty());
  Request request = greedy(1, some_prompt(5, 1), 2);
  request.sampling.logit_bias = {{1, 1e6F}};  // the answer is nothing but this token
  EXPECT_EQ(ask(*engine, request).text, "");
  request.shown_controls = {0};
  EXPECT_EQ(ask(*engine, request).text, "");
  request.shown_controls = {0, 1};
  EXPECT_EQ(ask(*engine, request).text, text + text);
  request.stop = {text};
  const Answer stopped = ask(*engine, request);
  EXPECT_EQ(stopped.text, "");
  EXPECT_EQ(stopped.finished.reason, FinishReason::kStopString);
  request.shown_controls = {1 << 20};
  error_of([&] { engine->submit(request); }, ErrorKind::kUsage);
}

TEST(Engine, NamesTheReasoningStyleOfItsTemplate) {
  EXPECT_EQ(open_engine(options_for("qwen2"))->properties().reasoning_style, "think");
}

TEST(Engine, GreedyContinuationsAreThoseOfTransformers) {
  for (const std::string name : {"llama", "qwen2"}) {
    std::ifstream file(std::string(MEGALITH_TEST_DATA) + "/models/data/" + name + ".json");
    const auto golden = nlohmann::json::parse(file);
    const auto engine = open_engine(options_for(name));
    const auto expected = golden.at("greedy").get<std::vector<TokenId>>();
    const Answer answer =
        ask(*engine, greedy(1, golden.at("prompt").get<std::vector<TokenId>>(), static_cast<int32_t>(expected.size())));
    EXPECT_EQ(answer.tokens, expected) << name;
    EXPECT_EQ(answer.finished.reason, FinishReason::kLength);
    EXPECT_EQ(answer.finished.usage.completion_tokens, static_cast<int32_t>(expected.size()));
  }
}

TEST(Engine, TextIsTheDetokenizedAnswer) {
  const auto engine = open_engine(options_for("llama"));
  const Answer answer = ask(*engine, greedy(1, some_prompt(20, 1), 40));
  Detokenizer detokenizer;  // bytes that never become a character are shown as U+FFFD by both
  std::string expected = detokenizer.push(engine->detokenize(answer.tokens, Tokenizer::Special::kOmit));
  expected += detokenizer.finish();
  EXPECT_EQ(answer.text, expected);
  EXPECT_FALSE(answer.text.empty());
}

TEST(Engine, TheSameRequestGivesTheSameAnswerAmongNeighboursAndInAnyChunking) {
  Request request = greedy(1000, some_prompt(300, 7), 12);
  request.sampling.temperature = 1.0F;
  request.sampling.seed = 99;
  request.top_logprobs = 3;
  request.probes.prompt_logprobs = true;
  request.probes.last_logits = true;
  EngineOptions roomy = options_for("qwen2-q5_0");
  roomy.context_tokens = 1024;  // so that a chunk of 512 is one
  const Answer alone = ask(*open_engine(roomy), request);
  ASSERT_EQ(alone.tokens.size(), 12U);
  ASSERT_EQ(alone.finished.prompt_logprobs.size(), 299U);

  for (const int32_t chunk : {1, 7, 64, 512}) {
    EngineOptions options = options_for("qwen2-q5_0");
    options.max_sequences = 8;
    options.context_tokens = 1024;
    options.prefill_chunk_tokens = chunk;
    options.threads = 1 + chunk % 4;
    const auto engine = open_engine(options);
    for (uint64_t i = 0; i < 7; ++i) engine->submit(greedy(i, some_prompt(1 + 13 * i, i), 10 + static_cast<int>(i)));
    engine->submit(request);
    const Answer among = collect(*engine, 8).at(1000);
    EXPECT_EQ(among.tokens, alone.tokens) << "chunk " << chunk;
    EXPECT_EQ(among.logprobs, alone.logprobs);
    EXPECT_EQ(among.finished.prompt_logprobs, alone.finished.prompt_logprobs);
    EXPECT_EQ(among.finished.last_logits, alone.finished.last_logits);
  }
}

TEST(Engine, SeedsRepeatAndAreReported) {
  const auto engine = open_engine(options_for("llama"));
  Request request = greedy(1, some_prompt(10, 3), 16);
  request.sampling.temperature = 1.5F;
  const Answer first = ask(*engine, request);
  request.sampling.seed = first.finished.seed;
  EXPECT_EQ(ask(*engine, request).tokens, first.tokens);
  request.choice = 1;
  EXPECT_NE(ask(*engine, request).tokens, first.tokens);
}

TEST(Engine, StopStringsEndTheAnswerAndAreNotPartOfIt) {
  const auto engine = open_engine(options_for("llama"));
  const Answer whole = ask(*engine, greedy(1, some_prompt(20, 5), 60));
  // Take a stop string from the middle of the known answer, reaching across tokens.
  size_t at = whole.text.size() / 2;
  while (at < whole.text.size() && (static_cast<unsigned char>(whole.text[at]) & 0xC0) == 0x80) ++at;
  size_t end = std::min(at + 4, whole.text.size());
  while (end < whole.text.size() && (static_cast<unsigned char>(whole.text[end]) & 0xC0) == 0x80) ++end;
  const std::string stop = whole.text.substr(at, end - at);
  Request request = greedy(2, some_prompt(20, 5), 60);
  request.stop = {stop};
  const Answer stopped = ask(*engine, request);
  EXPECT_EQ(stopped.finished.reason, FinishReason::kStopString);
  EXPECT_EQ(stopped.text, whole.text.substr(0, whole.text.find(stop)));
}

TEST(Engine, CancellingEndsOnlyThatRequest) {
  EngineOptions options = options_for("llama");
  options.max_sequences = 2;
  options.context_tokens = 512;
  const auto engine = open_engine(options);
  engine->submit(greedy(1, some_prompt(10, 1), 400));
  engine->submit(greedy(2, some_prompt(10, 2), 30));
  engine->submit(greedy(3, some_prompt(10, 3), 30));  // waits for a place
  engine->cancel(1);
  engine->cancel(77);  // unknown: ignored
  auto answers = collect(*engine, 3);
  EXPECT_EQ(answers.at(1).finished.reason, FinishReason::kCancelled);
  EXPECT_EQ(answers.at(2).tokens.size(), 30U);
  EXPECT_EQ(answers.at(3).tokens.size(), 30U);
  EXPECT_EQ(engine->in_flight(), 0);
}

TEST(Engine, CancellingAWaitingRequest) {
  const auto engine = open_engine(options_for("llama"));
  engine->submit(greedy(1, some_prompt(10, 1), 200));
  engine->submit(greedy(2, some_prompt(10, 2), 200));
  engine->cancel(2);
  auto answers = collect(*engine, 2);
  EXPECT_EQ(answers.at(2).finished.reason, FinishReason::kCancelled);
  EXPECT_EQ(answers.at(1).tokens.size(), 200U);
}

TEST(Engine, APromptLongerThanTheContextIsRefusedWithBothCounts) {
  EngineOptions options = options_for("llama");
  options.context_tokens = 100;
  const auto engine = open_engine(options);
  const std::string message = error_of([&] { engine->submit(greedy(1, some_prompt(101, 1), 1)); }, ErrorKind::kUsage);
  EXPECT_NE(message.find("101"), std::string::npos) << message;
  EXPECT_NE(message.find("100"), std::string::npos) << message;
  // What exactly fills the context is read, but leaves no room for an answer.
  const Answer full = ask(*engine, greedy(2, some_prompt(100, 1), 5));
  EXPECT_EQ(full.finished.reason, FinishReason::kLength);
  EXPECT_TRUE(full.tokens.empty());
  // An answer ends where the context does.
  EXPECT_EQ(ask(*engine, greedy(3, some_prompt(90, 1), -1)).tokens.size(), 10U);
}

TEST(Engine, MalformedRequestsAreRefused) {
  const auto engine = open_engine(options_for("llama"));
  error_of([&] { engine->submit(greedy(1, {}, 1)); }, ErrorKind::kUsage);
  error_of([&] { engine->submit(greedy(1, {-1}, 1)); }, ErrorKind::kUsage);
  error_of([&] { engine->submit(greedy(1, {1 << 20}, 1)); }, ErrorKind::kUsage);
  error_of([&] { engine->submit(greedy(1, {1}, -2)); }, ErrorKind::kUsage);
  Request hot = greedy(1, {1}, 1);
  hot.sampling.temperature = -1;
  error_of([&] { engine->submit(hot); }, ErrorKind::kUsage);
  engine->submit(greedy(5, some_prompt(5, 1), 100));
  error_of([&] { engine->submit(greedy(5, {1}, 1)); }, ErrorKind::kUsage);
  EXPECT_EQ(collect(*engine, 1).at(5).tokens.size(), 100U);
}

TEST(Engine, AContextThatDoesNotFitNamesTheLargestThatSafelyDoes) {
  EngineOptions options = options_for("llama");
  options.memory_limit_bytes = 300ULL << 20;
  options.context_tokens = 100'000'000;
  const std::string message = error_of([&] { open_engine(options); }, ErrorKind::kDoesNotFit);
  const size_t at = message.find("--ctx ");
  ASSERT_NE(at, std::string::npos) << message;
  options.context_tokens = std::stoi(message.substr(at + 6));
  EXPECT_EQ(open_engine(options)->properties().context_tokens, options.context_tokens);
  // A thirty-second of what fits is left over, and the rest of a page.
  options.context_tokens += options.context_tokens / 31 + 2 * kPageTokens;
  error_of([&] { open_engine(options); }, ErrorKind::kDoesNotFit);
}

TEST(Engine, ANoticeSaysWhenTheContextIsLowered) {
  EngineOptions options = options_for("llama");
  const auto roomy = open_engine(options);
  EXPECT_TRUE(roomy->properties().notices.empty());
  // The least memory that is granted at all holds one page; a few pages more are still less than the model's context.
  const uint64_t page_bytes = roomy->properties().kv_bytes_per_token * kPageTokens;
  options.memory_limit_bytes = roomy->properties().weight_bytes + (256ULL << 20) + 3 * page_bytes;
  const auto tight = open_engine(options);
  EXPECT_LT(tight->properties().context_tokens, roomy->properties().context_tokens);
  EXPECT_GE(tight->properties().context_tokens, 3 * kPageTokens);
  ASSERT_EQ(tight->properties().notices.size(), 1U);
  EXPECT_NE(tight->properties().notices.front().find(std::to_string(tight->properties().context_tokens)),
            std::string::npos);
}

/// A copy of a tiny checkpoint with one more key.
void copy_with_key(const std::string& name, std::string_view key, uint32_t value, const fs::path& to) {
  const auto checkpoint_of = open_checkpoint(checkpoint(name));
  GgufBuilder builder;
  for (const Metadata::Entry& entry : checkpoint_of->metadata().entries()) {
    std::visit(
        [&](const auto& held) {
          using Held = std::decay_t<decltype(held)>;
          if constexpr (std::is_same_v<Held, std::vector<std::string_view>>) {
            builder.list(entry.key, std::vector<std::string>(held.begin(), held.end()));
          } else if constexpr (std::is_same_v<Held, std::vector<int64_t>> ||
                               std::is_same_v<Held, std::vector<double>>) {
            builder.list(entry.key, held);
          } else if constexpr (!std::is_same_v<Held, std::vector<bool>>) {
            builder.key(entry.key, held);
          }
        },
        entry.value);
  }
  builder.key(key, value);
  for (const NamedWeight& weight : checkpoint_of->weights()) {
    builder.raw_tensor(weight.name, {weight.shape.rbegin(), weight.shape.rend()},
                       *format_info(weight.view.format).gguf_type, weight.view.planes[0]);
  }
  const std::vector<std::byte> bytes = builder.build();
  std::ofstream(to, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

TEST(Engine, AModelRunsPastItsWindowAndSeesNoFurther) {
  const fs::path copy = fs::temp_directory_path() / ("megalith-window-" + std::to_string(getpid()) + ".gguf");
  copy_with_key("llama", "llama.attention.sliding_window", 64, copy);
  EngineOptions whole = options_for("llama");
  EngineOptions windowed = whole;
  windowed.model_path = copy.string();
  const auto last_logits = [](const EngineOptions& options, size_t prompt_tokens) {
    Request request = greedy(1, some_prompt(prompt_tokens, 5), 4);
    request.probes.last_logits = true;
    return ask(*open_engine(options), request).finished.last_logits;
  };
  EXPECT_EQ(open_engine(windowed)->properties().context_tokens, open_engine(whole)->properties().context_tokens);
  // Up to the window nothing is hidden; past it the earliest tokens are, however the prompt is chunked.
  EXPECT_EQ(last_logits(windowed, 64), last_logits(whole, 64));
  const std::vector<float> past = last_logits(windowed, 150);
  EXPECT_FALSE(past.empty());
  EXPECT_NE(past, last_logits(whole, 150));
  windowed.prefill_chunk_tokens = 7;
  EXPECT_EQ(last_logits(windowed, 150), past);
  fs::remove(copy);
}

TEST(Engine, AFileTruncatedWhileMappedEndsTheRequestWithASentence) {
  const fs::path copy = fs::temp_directory_path() / ("megalith-truncated-" + std::to_string(getpid()) + ".gguf");
  fs::copy_file(checkpoint("llama"), copy, fs::copy_options::overwrite_existing);
  EngineOptions options = options_for("llama");
  options.model_path = copy.string();
  const auto engine = open_engine(options);
  EXPECT_EQ(ask(*engine, greedy(1, some_prompt(5, 1), 3)).tokens.size(), 3U);
  fs::resize_file(copy, 4096);
  const Answer answer = ask(*engine, greedy(2, some_prompt(5, 1), 3));
  EXPECT_EQ(answer.finished.reason, FinishReason::kError);
  EXPECT_NE(answer.finished.error.find("truncated"), std::string::npos) << answer.finished.error;
  fs::remove(copy);
}

TEST(Engine, ProfileCountsEveryOpOfTheStep) {
  EngineOptions options = options_for("llama");
  options.profile = true;
  const auto engine = open_engine(options);
  ask(*engine, greedy(1, some_prompt(5, 1), 3));
  uint64_t weight_bytes = 0;
  for (const CostMeter::Line& line : engine->take_profile()) weight_bytes += line.cost.weight_bytes;
  EXPECT_GT(weight_bytes, engine->properties().weight_bytes);  // one prompt step and two decode steps
  EXPECT_TRUE(engine->take_profile().empty());
}

TEST(Engine, ADestroyedEngineLeavesWorkUndone) {
  auto engine = open_engine(options_for("llama"));
  engine->submit(greedy(1, some_prompt(10, 1), 2000));
  engine.reset();  // must return promptly and without a crash
}

}  // namespace
}  // namespace megalith
