#pragma once
// The measurements of `megalith bench`: how fast a prompt is read and an answer written, without tokenising and
// sampling anything that matters.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/cost_meter.h"
#include "engine/engine.h"

namespace megalith::cli {

/// One thing to measure: reading `prompt_tokens`, or writing `answer_tokens` after `depth_tokens` others, each of
/// `sequences` at once. One of the first two is 0.
struct BenchCase {
  int32_t prompt_tokens = 0;
  int32_t answer_tokens = 0;
  int32_t depth_tokens = 0;
  int32_t sequences = 1;

  /// "pp512", "tg128", "tg128 @ d2048", as llama-bench names them; "tg128 b4" for four sequences.
  std::string name() const;
  /// Of context that it takes.
  int32_t context_tokens() const;
};

/// Mean and spread of samples.
struct Spread {
  double mean = 0;
  double deviation = 0;  // of a sample, n - 1 in the denominator
  /// Coefficient of variation.
  double relative() const { return mean > 0 ? deviation / mean : 0; }
};
Spread spread_of(const std::vector<double>& samples);

struct BenchHooks {
  std::function<void(double done_fraction)> progress;
  std::function<bool()> stop_requested;
};

/// Tokens a second of all sequences together, one sample for each repetition, after a warm-up that is not counted.
/// Throws kInterrupted.
std::vector<double> measure(Engine& engine, const BenchCase& bench_case, int repetitions, const BenchHooks& hooks);

}  // namespace megalith::cli
