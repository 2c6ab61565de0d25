#pragma once
// The only door of the engine. Requests and events are plain values without pointers or callbacks, so that an engine
// may live in this process or, later, behind a socket; whoever uses it cannot tell which.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cost_meter.h"
#include "base/error.h"
#include "base/ledger.h"
#include "text/tokenizer.h"

namespace megalith {

/// How the next token is chosen. docs/sampling.md gives each step's formula; the chain's order is that of the fields:
/// bias, penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature, draw. Mirostat takes the place of
/// everything from top-n-sigma to XTC.
struct Sampling {
  std::vector<std::pair<TokenId, float>> logit_bias;  // added to the logits; -infinity forbids a token
  float repetition_penalty = 1.0F;  // 1: off; > 1 divides positive and multiplies negative logits of recent tokens
  int32_t penalty_window = 64;      // recent tokens, of prompt and answer, that it looks at; -1: all
  float presence_penalty = 0.0F;    // subtracted from the logits of tokens that the answer holds
  float frequency_penalty = 0.0F;   // subtracted for each time that the answer holds the token
  float dry_multiplier = 0.0F;      // 0: off; "don't repeat yourself": grows with the length of the repeated sequence
  float dry_base = 1.75F;
  int32_t dry_allowed_length = 2;                                  // longest repetition that costs nothing
  int32_t dry_window = -1;                                         // recent tokens that it looks at; -1: all
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};  // no repetition reaches across tokens holding one
  float top_n_sigma = 0.0F;      // 0: off; keeps logits within n standard deviations of the largest
  int32_t top_k = 40;            // 0: off
  float typical_p = 1.0F;        // 1: off
  float top_p = 0.95F;           // 1: off
  float min_p = 0.05F;           // 0: off; relative to the most likely token
  float xtc_probability = 0.0F;  // 0: off; chance that the likeliest are left out
  float xtc_threshold = 0.1F;    // all above it but the least likely of them
  float temperature = 0.8F;      // 0: greedy, among what bias, penalties and DRY leave
  float mirostat_tau = 0.0F;     // 0: off; version 2, target surprise in bits
  float mirostat_eta = 0.1F;     // its learning rate
  std::optional<uint64_t> seed;  // none: one is drawn and reported in the finished event
};

struct Request {
  uint64_t id = 0;              // unique among the requests in flight
  std::vector<TokenId> prompt;  // at least one token
  Sampling sampling;
  int32_t max_tokens = -1;        // -1: until the context is full
  std::vector<std::string> stop;  // strings that end the answer and are not part of it
  // Control tokens whose text is part of the events' text, as other tokens' is (marks of reasoning); others have none.
  std::vector<TokenId> shown_controls;
  int32_t top_logprobs = -1;  // -1: no log-probabilities; n: of the chosen token and of the n likeliest
  int32_t choice = 0;         // index among several answers to one prompt; part of the random key
  // Probes for evaluation.
  struct Probes {
    bool prompt_logprobs = false;  // log-probability of each prompt token given those before it, from the second on
    bool last_logits = false;      // the logits after the last prompt token
    bool ignore_end = false;       // end-of-generation tokens do not end the answer (bench)
  } probes;
};

struct TokenLogprob {
  TokenId token = -1;
  float logprob = 0;
};

enum class FinishReason { kEnd, kStopString, kLength, kCancelled, kError };
std::string_view name(FinishReason reason);  // "stop", "stop", "length", "cancelled", "error"

struct Usage {
  int32_t prompt_tokens = 0;
  int32_t cached_tokens = 0;  // of the prompt, not read again
  int32_t completion_tokens = 0;
};

struct Timings {
  double queued_ms = 0;
  double prefill_ms = 0;  // from leaving the queue to the first token
  double decode_ms = 0;   // from the first token to the last
};

struct Event {
  enum class Kind { kToken, kFinished };
  uint64_t request = 0;
  Kind kind = Kind::kToken;
  // kToken: a chosen token. `text` holds whole characters only and may be empty while one is unfinished.
  TokenId token = -1;
  std::string text;  // kFinished: what was still held back
  std::optional<float> logprob;
  std::vector<TokenLogprob> top_logprobs;
  // kFinished
  FinishReason reason = FinishReason::kEnd;
  ErrorKind error_kind = ErrorKind::kRuntime;
  std::string error;  // sentence, if reason is kError
  uint64_t seed = 0;
  Usage usage;
  Timings timings;
  std::vector<float> prompt_logprobs;  // [prompt - 1]
  std::vector<float> last_logits;      // [vocabulary]
};

struct EngineOptions {
  std::string model_path;
  int32_t context_tokens = 0;        // 0: the model's own, lowered to what memory grants (a notice says so)
  int32_t max_sequences = 1;         // that may run at once
  int32_t prefill_chunk_tokens = 0;  // 0: chosen by the scheduler, by time; results do not depend on it
  int threads = 0;                   // 0: all physical cores
  std::string instruction_set;       // empty: the best
  std::string pre_tokenizer;         // empty: the one that the file names
  uint64_t memory_limit_bytes = 0;   // 0: what the machine has available
  bool profile = false;              // keep costs per op for Engine::take_profile
};

struct EngineProperties {
  std::string model_path;
  std::string model_name;
  std::string architecture;
  uint64_t parameters = 0;
  uint64_t weight_bytes = 0;
  int32_t layers = 0;
  int32_t vocabulary_size = 0;
  int32_t model_context_tokens = 0;  // that the model was made for
  int32_t context_tokens = 0;        // granted
  uint64_t kv_bytes_per_token = 0;
  bool has_chat_template = false;
  std::string reasoning_style;  // of the chat template: a row of text/reasoning.h
  std::optional<TokenId> bos, eos;
  std::string backend, instruction_set;
  int threads = 1;
  bool batch_invariant = true;
  std::vector<std::string> notices;  // for the user: what was lowered or left out, and why
};

/// Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const EngineProperties& properties() const = 0;
  /// Lines of the byte ledger, now.
  virtual std::vector<Ledger::Line> memory() const = 0;

  virtual std::vector<TokenId> tokenize(std::string_view text, EncodeOptions options) const = 0;
  virtual std::string detokenize(const std::vector<TokenId>& tokens, Tokenizer::Special special) const = 0;
  /// The exact prompt that the model's chat template makes of `variables`, a JSON object with "messages" and whatever
  /// else the template reads; bos_token, eos_token and add_generation_prompt (true) are added unless given. Throws
  /// kUsage if the file has no template or the template refuses the conversation.
  virtual std::string apply_template(const std::string& variables_json) const = 0;

  /// Queues a request. Throws kUsage if it is malformed or longer than the context (naming both counts), or if its id
  /// is in flight.
  virtual void submit(Request request) = 0;
  /// Ends a request within one step, with a kFinished event of reason kCancelled. Unknown ids are ignored.
  virtual void cancel(uint64_t id) = 0;
  /// The next event of any request, in order; none if nothing happened for `timeout`.
  virtual std::optional<Event> next_event(std::chrono::milliseconds timeout) = 0;
  /// Requests queued or running.
  virtual int32_t in_flight() const = 0;

  /// Costs and times per op since the last call (EngineOptions::profile).
  virtual std::vector<CostMeter::Line> take_profile() = 0;
};

/// Loads a model and starts its scheduler thread. Throws what loading throws: kModelNotFound, kInvalidModel,
/// kDoesNotFit (with the largest context that would fit), kUsage (instruction set, threads).
std::unique_ptr<Engine> open_engine(const EngineOptions& options);

}  // namespace megalith
