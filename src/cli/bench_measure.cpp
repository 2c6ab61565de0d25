#include "cli/bench_measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/drive.h"

namespace megalith::cli {

namespace {

// Steps of the warm-up of an answer: enough to touch all weights and wake the threads.
constexpr int32_t kWarmUpTokens = 4;

// Scattered ids, other ones in each run, so that no cache of prompts can help.
std::vector<TokenId> scattered_tokens(const EngineProperties& properties, int32_t count, uint32_t run) {
  std::vector<TokenId> tokens;
  uint32_t state = run * 2654435761U + 12345U;
  for (int32_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;  // Numerical Recipes' linear congruential generator
    tokens.push_back(static_cast<TokenId>((state >> 8) % static_cast<uint32_t>(properties.vocabulary_size)));
  }
  return tokens;
}

/// The slowest of the sequences.
Event run_once(Engine& engine, const BenchCase& bench_case, uint32_t run, const BenchHooks& hooks) {
  Request request;
  request.sampling.temperature = 0;
  request.probes.ignore_end = true;
  if (bench_case.prompt_tokens > 0) {
    request.prompt = scattered_tokens(engine.properties(), bench_case.prompt_tokens, run);
    request.max_tokens = 0;
  } else {
    request.prompt = scattered_tokens(engine.properties(), std::max(1, bench_case.depth_tokens), run);
    // The first token still belongs to the prompt; the others take a step each.
    request.max_tokens = bench_case.answer_tokens + 1;
  }
  DriveHooks drive_hooks;
  drive_hooks.stop_requested = hooks.stop_requested;
  std::vector<Request> requests(static_cast<size_t>(bench_case.sequences), request);
  for (size_t i = 0; i < requests.size(); ++i) requests[i].id = i;
  std::vector<Event> finished = drive(engine, std::move(requests), drive_hooks);
  for (const Event& event : finished) {
    throw_if_failed(event);
    if (event.reason == FinishReason::kCancelled) throw Error(ErrorKind::kInterrupted, "interrupted");
  }
  return *std::max_element(finished.begin(), finished.end(),
                           [](const Event& a, const Event& b) { return a.timings.decode_ms < b.timings.decode_ms; });
}

}  // namespace

std::string BenchCase::name() const {
  if (prompt_tokens > 0) return fmt::format("pp{}", prompt_tokens);
  return fmt::format("tg{}{}{}", answer_tokens, sequences > 1 ? fmt::format(" b{}", sequences) : "",
                     depth_tokens > 0 ? fmt::format(" @ d{}", depth_tokens) : "");
}

int32_t BenchCase::context_tokens() const {
  return prompt_tokens > 0 ? prompt_tokens : std::max(1, depth_tokens) + answer_tokens + 1;
}

Spread spread_of(const std::vector<double>& samples) {
  Spread spread;
  if (samples.empty()) return spread;
  for (const double sample : samples) spread.mean += sample;
  spread.mean /= static_cast<double>(samples.size());
  if (samples.size() < 2) return spread;
  double squares = 0;
  for (const double sample : samples) squares += (sample - spread.mean) * (sample - spread.mean);
  spread.deviation = std::sqrt(squares / static_cast<double>(samples.size() - 1));
  return spread;
}

std::vector<double> measure(Engine& engine, const BenchCase& bench_case, int repetitions, const BenchHooks& hooks) {
  BenchCase warm_up = bench_case;
  if (warm_up.prompt_tokens == 0) {
    warm_up.depth_tokens = 0;
    warm_up.answer_tokens = std::min(warm_up.answer_tokens, kWarmUpTokens);
  }
  run_once(engine, warm_up, 0, hooks);
  engine.take_profile();  // the warm-up's
  std::vector<double> samples;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    if (hooks.progress) hooks.progress(static_cast<double>(repetition) / repetitions);
    const Event finished = run_once(engine, bench_case, static_cast<uint32_t>(repetition) + 1, hooks);
    const bool reads_prompt = bench_case.prompt_tokens > 0;
    const double milliseconds = reads_prompt ? finished.timings.prefill_ms : finished.timings.decode_ms;
    const int32_t tokens = (reads_prompt ? bench_case.prompt_tokens : bench_case.answer_tokens) * bench_case.sequences;
    samples.push_back(1000.0 * tokens / milliseconds);
  }
  return samples;
}

}  // namespace megalith::cli
