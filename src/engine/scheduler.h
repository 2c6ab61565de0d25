#pragma once
// Continuous batching without phases: in each step every running answer gets its next token, and prompts get chunks
// sized in milliseconds. Results do not depend on any of this (P3); only waiting times do.
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "base/cost_meter.h"
#include "engine/engine.h"
#include "engine/kv_pages.h"
#include "models/model.h"
#include "ops/ops.h"
#include "text/tokenizer.h"

namespace megalith {

/// How many prompt tokens a step may read, so that it lasts about as long as it should on this machine.
class PromptPacer {
 public:
  /// `fixed_tokens` > 0: always that many.
  explicit PromptPacer(int32_t fixed_tokens) : fixed_tokens_(fixed_tokens) {}
  enum class Company { kAlone, kWithAnswers };  // whether answers wait for this step's end
  int32_t chunk_tokens(Company company) const;
  void learn(int32_t prompt_tokens, double step_ms);

 private:
  int32_t fixed_tokens_;
  double ms_per_token_ = 0;  // 0: nothing measured yet
};

/// Not thread-safe: the engine's thread owns it.
class Scheduler {
 public:
  struct Setup {
    Ops* ops;
    const Model* model;
    const Tokenizer* tokenizer;
    const Checkpoint* checkpoint;
    int32_t context_tokens;
    int32_t pages;
    int32_t max_sequences;
    int32_t slots;                 // of recurrent state, max_sequences of them, or 0 where the model keeps none
    int32_t prefill_chunk_tokens;  // 0: by time
    CostMeter* meter;              // or null
  };
  explicit Scheduler(const Setup& setup);
  ~Scheduler();

  void add(Request request, std::chrono::steady_clock::time_point submitted);
  void cancel(uint64_t id, std::vector<Event>& events);
  bool idle() const { return waiting_.empty() && running_.empty(); }
  /// One step of work; appends what happened.
  void step(std::vector<Event>& events);
  /// Throws kRuntime if a page is lost or held twice. Cheap when idle.
  void check_integrity() const;

 private:
  struct Sequence;
  /// What one sequence does in a step.
  struct Share {
    Sequence* sequence;
    int32_t n_tokens;
  };
  void admit();
  std::vector<Share> plan() const;
  /// Computes the shares; on an error of several together, each alone, so that only the guilty one ends.
  void run(std::span<const Share> shares, std::vector<Event>& events);
  /// Computes the share again with nobody beside it.
  void run_alone(const Share& share, std::vector<Event>& events);
  /// Back to before the first token: what a failed step left in recurrent state cannot be taken out of it.
  void rewind(Sequence& sequence);
  void clear_new_pages(const Share& share);
  void compute(std::span<const Share> shares, std::vector<Event>& events);
  /// How many of a share's last rows give logits: all for a probed prompt, one when nothing of the sequence is pending.
  static int32_t output_rows(const Share& share);
  Batch make_batch(std::span<const Share> shares) const;
  void take_logits(const Share& share, std::span<const float> rows, std::vector<Event>& events);
  void choose_token(Sequence& sequence, std::span<const float> logits, std::vector<Event>& events);
  void finish(Sequence& sequence, FinishReason reason, std::vector<Event>& events);
  void fail(Sequence& sequence, const Error& error, std::vector<Event>& events);
  void drop_finished();

  Setup setup_;
  PagePool pages_;
  PagePool slots_;
  PromptPacer pacer_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;
};

}  // namespace megalith
