#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "eval/drive.h"

namespace megalith {

namespace {

constexpr int32_t kDefaultWindow = 2048;

int32_t choose_window(const PerplexityOptions& options, const EngineProperties& properties) {
  const int32_t window =
      options.window_tokens == 0 ? std::min(properties.context_tokens, kDefaultWindow) : options.window_tokens;
  // Even a BOS then leaves room for a token, and without one there is a token to predict the next from.
  if (window < 2) {
    throw Error(ErrorKind::kUsage,
                "a window of " + std::to_string(window) + (window == 1 ? " token" : " tokens") +
                    " is too short to predict anything in; it needs 2 or more (--ctx, MEGALITH_CTX)");
  }
  if (window > properties.context_tokens) {
    throw Error(ErrorKind::kUsage, "a window of " + std::to_string(window) + " tokens does not fit the context of " +
                                       std::to_string(properties.context_tokens) + " tokens; lower --ctx");
  }
  return window;
}

/// Sums of log-probabilities and of their squares.
struct Scores {
  double sum = 0;
  double sum_of_squares = 0;
  int64_t count = 0;
  void add(float logprob) {
    sum += logprob;
    sum_of_squares += static_cast<double>(logprob) * logprob;
    ++count;
  }
};

}  // namespace

PerplexityResult measure_perplexity(Engine& engine, std::string_view text, const PerplexityOptions& options) {
  const EngineProperties& properties = engine.properties();
  PerplexityResult result;
  result.window_tokens = choose_window(options, properties);
  const std::vector<TokenId> tokens = engine.tokenize(text, {});
  result.text_tokens = static_cast<int64_t>(tokens.size());
  if (tokens.size() < 2)
    throw Error(ErrorKind::kUsage, "the text has fewer than two tokens; there is nothing to predict");

  // Whether the model wants a BOS shows in what it puts before an empty text.
  const std::vector<TokenId> specials = engine.tokenize("", {.add_special = true});
  std::vector<TokenId> prefix;
  if (properties.bos && !specials.empty() && specials.front() == *properties.bos) prefix.push_back(*properties.bos);

  const auto step = static_cast<size_t>(result.window_tokens) - prefix.size();
  Scores scores;
  for (size_t begin = 0; begin < tokens.size(); begin += step) {
    const size_t end = std::min(tokens.size(), begin + step);
    Request request;
    request.prompt = prefix;
    request.prompt.insert(request.prompt.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                          tokens.begin() + static_cast<std::ptrdiff_t>(end));
    if (request.prompt.size() < 2) break;  // one token left over: nothing before it to predict it from
    request.max_tokens = 0;
    request.probes.prompt_logprobs = true;
    DriveHooks hooks;
    hooks.stop_requested = options.stop_requested;
    const Event finished = drive_one(engine, std::move(request), hooks);
    if (finished.reason == FinishReason::kCancelled) throw Error(ErrorKind::kInterrupted, "interrupted");
    for (const float logprob : finished.prompt_logprobs) scores.add(logprob);
    ++result.windows;
    if (options.progress) options.progress(static_cast<int64_t>(end), result.text_tokens);
  }
  if (scores.count == 0) throw Error(ErrorKind::kUsage, "no token of the text could be scored; give a longer text");
  const auto count = static_cast<double>(scores.count);
  result.scored_tokens = scores.count;
  result.mean_log_likelihood = scores.sum / count;
  result.perplexity = std::exp(-result.mean_log_likelihood);
  // Error of the mean carried through exp: d exp(x) = exp(x) dx.
  const double variance =
      scores.count > 1 ? std::max(0.0, (scores.sum_of_squares - scores.sum * scores.sum / count) / (count - 1)) : 0.0;
  result.standard_error = result.perplexity * std::sqrt(variance / count);
  return result;
}

}  // namespace megalith
