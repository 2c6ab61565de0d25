#pragma once
// Perplexity: exp of the mean negative log-probability of a text's tokens.
#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/engine.h"

namespace megalith {

struct PerplexityOptions {
  /// Tokens of a window. The text is cut into windows that do not overlap; every token but a window's first is scored,
  /// given those before it in its window. Models that want a BOS token get one before each window, in the count.
  /// 0: the engine's context, at most 2048. At least 2.
  int32_t window_tokens = 0;
  /// Called after each window with the tokens done and all; true from `stop_requested` ends with kInterrupted. Both may
  /// be empty.
  std::function<void(int64_t done, int64_t all)> progress;
  std::function<bool()> stop_requested;
};

struct PerplexityResult {
  double perplexity = 0;
  double standard_error = 0;       // of the perplexity, from the spread of the tokens' log-probabilities
  double mean_log_likelihood = 0;  // nats for a token
  int64_t text_tokens = 0;
  int64_t scored_tokens = 0;
  int64_t windows = 0;
  int32_t window_tokens = 0;  // as used
};

/// Throws kUsage if the text has fewer than two tokens or the window does not fit the context.
PerplexityResult measure_perplexity(Engine& engine, std::string_view text, const PerplexityOptions& options);

}  // namespace megalith
