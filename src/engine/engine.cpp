#include "engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_set>

#include "backends/registry.h"
#include "base/machine.h"
#include "engine/context_budget.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "models/model.h"
#include "text/chat_prompt.h"
#include "text/gguf_vocabulary.h"
#include "text/jinja/chat_template.h"
#include "text/reasoning.h"

namespace megalith {

std::string_view name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEnd:
    case FinishReason::kStopString:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "error";
}

namespace {

using Clock = std::chrono::steady_clock;

/// The context to grant, and a notice if it is not what the model was made for. Throws kDoesNotFit.
struct GrantedContext {
  int32_t tokens;
  std::string notice;
};

GrantedContext grant_context(const EngineOptions& options, const ModelProperties& model, const Ledger& ledger) {
  const uint64_t page_bytes = model.state.page_bytes();
  const uint64_t usable = usable_for_kv(ledger.available_bytes());
  const auto sequences = static_cast<uint64_t>(options.max_sequences);
  const int32_t largest = largest_context(ledger.available_bytes(), page_bytes, sequences);
  const bool chosen = options.context_tokens > 0;
  const int32_t wanted = chosen ? options.context_tokens : model.context_tokens;
  if (largest < (chosen ? wanted : std::min(wanted, kPageTokens))) {
    const auto needed = static_cast<uint64_t>(PagePool::pages_for(wanted)) * page_bytes * sequences;
    throw Error(
        ErrorKind::kDoesNotFit,
        fmt::format("a context of {} tokens needs {} for {} sequence{}, but {} are free; {}", wanted,
                    format_bytes(needed), sequences, sequences == 1 ? "" : "s", format_bytes(usable),
                    largest > 0 ? fmt::format("the largest that safely fits is --ctx {}", advisable_context(largest))
                                : std::string("not even one page of 64 tokens fits: free memory or take a "
                                              "smaller model")));
  }
  if (!chosen && largest < wanted) {
    return {largest,
            fmt::format("the context is {} tokens, not the model's {}: more does not fit in memory", largest, wanted)};
  }
  if (wanted > model.context_tokens) {
    return {wanted, fmt::format("a context of {} tokens is longer than the {} that the model was made for", wanted,
                                model.context_tokens)};
  }
  return {wanted, {}};
}

class InProcessEngine final : public Engine {
 public:
  InProcessEngine(const EngineOptions& options, const Machine& machine);
  ~InProcessEngine() override;

  const EngineProperties& properties() const override { return properties_; }
  std::vector<Ledger::Line> memory() const override { return ledger_.report(); }
  std::vector<TokenId> tokenize(std::string_view text, EncodeOptions options) const override {
    return tokenizer_->encode(text, options);
  }
  std::string detokenize(const std::vector<TokenId>& tokens, Tokenizer::Special special) const override;
  std::string apply_template(const std::string& variables_json) const override;
  void submit(Request request) override;
  void cancel(uint64_t id) override;
  std::optional<Event> next_event(std::chrono::milliseconds timeout) override;
  int32_t in_flight() const override;
  std::vector<CostMeter::Line> take_profile() override;

 private:
  struct Submission {
    Request request;
    Clock::time_point at;
  };
  void check_vocabulary() const;
  void read_template();
  void check_ids(const std::vector<TokenId>& tokens) const;
  void describe(const EngineOptions& options, const GrantedContext& context);
  void serve();
  /// One round of the scheduler's work. An error is of the engine as a whole: it can serve no more.
  std::optional<Error> step(std::vector<Submission> submissions, const std::vector<uint64_t>& cancellations,
                            std::vector<Event>& events);
  // `mutex_` must be held for these.
  /// Hands events to the consumer, and the costs of the step; false if there was no memory for it: try again.
  bool hand_over(std::vector<Event>& events);
  /// Removes from `events` what it handed over, also if memory runs out on the way.
  void publish(std::vector<Event>& events);
  /// Ends every request in flight with the error that broke the engine.
  void end_all(const Error& fault);

  Ledger ledger_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> template_;
  std::unique_ptr<Ops> ops_;
  std::unique_ptr<Model> model_;
  EngineProperties properties_;
  bool profile_;
  CostMeter step_meter_;  // of the engine's thread
  std::unique_ptr<Scheduler> scheduler_;

  mutable std::mutex mutex_;
  std::condition_variable work_;   // for the engine's thread
  std::condition_variable event_;  // for the consumer
  std::vector<Submission> submissions_;
  std::vector<uint64_t> cancellations_;
  std::deque<Event> events_;
  std::unordered_set<uint64_t> ids_;  // in flight
  CostMeter meter_;                   // since the last take_profile
  std::optional<Error> broken_;       // why the engine serves no more
  const Error out_of_memory_{ErrorKind::kDoesNotFit,
                             "memory ran out while the model was answering; free memory or lower --ctx"};
  bool stopping_ = false;
  std::thread thread_;
};

uint64_t memory_limit(const EngineOptions& options, const Machine& machine) {
  return options.memory_limit_bytes > 0 ? options.memory_limit_bytes : machine.memory_available_bytes;
}

InProcessEngine::InProcessEngine(const EngineOptions& options, const Machine& machine)
    : ledger_(memory_limit(options, machine)), profile_(options.profile) {
  if (options.max_sequences < 1) throw Error(ErrorKind::kUsage, "max_sequences must be 1 or more");
  if (options.context_tokens < 0) throw Error(ErrorKind::kUsage, "the context must be 1 token or more (--ctx)");
  checkpoint_ = open_checkpoint(options.model_path);
  BackendOptions backend;
  backend.threads = options.threads;
  if (!options.instruction_set.empty()) backend.instruction_set = instruction_set_from_name(options.instruction_set);
  ops_ = make_cpu_ops(ledger_, machine, backend);
  model_ = load_model(*checkpoint_, *ops_);
  tokenizer_ = make_tokenizer(read_vocabulary(*checkpoint_, options.pre_tokenizer));
  check_vocabulary();
  const StateLayout& state = model_->properties().state;
  const bool recurrent = state.slot_bytes() > 0;
  if (recurrent) ops_->allocate_slots(state, options.max_sequences);
  const GrantedContext context = grant_context(options, model_->properties(), ledger_);
  const int32_t pages = PagePool::pages_for(context.tokens) * options.max_sequences;
  ops_->allocate_state(state, pages);
  describe(options, context);
  read_template();
  scheduler_ = std::make_unique<Scheduler>(Scheduler::Setup{
      ops_.get(), model_.get(), tokenizer_.get(), checkpoint_.get(), context.tokens, pages, options.max_sequences,
      recurrent ? options.max_sequences : 0, options.prefill_chunk_tokens, profile_ ? &step_meter_ : nullptr});
  try {
    thread_ = std::thread([this] { serve(); });
  } catch (const std::system_error& error) {
    throw Error(
        ErrorKind::kDoesNotFit,
        fmt::format("cannot start the engine's thread: no memory for it, or no more are allowed ({}); use fewer "
                    "with -t",
                    error.what()));
  }
}

InProcessEngine::~InProcessEngine() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  thread_.join();
}

void InProcessEngine::check_vocabulary() const {
  const int32_t embedded = model_->properties().vocabulary_size;
  if (tokenizer_->size() != embedded) {
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: the tokenizer has {} tokens but the embedding has {} rows; the file is inconsistent, "
                            "convert or download it again",
                            checkpoint_->path(), tokenizer_->size(), embedded));
  }
}

void InProcessEngine::describe(const EngineOptions& options, const GrantedContext& context) {
  const ModelProperties& model = model_->properties();
  const Ops::Properties device = ops_->properties();
  EngineProperties& p = properties_;
  p.model_path = options.model_path;
  p.model_name = model.name;
  p.architecture = model.architecture;
  p.parameters = model.parameters;
  p.weight_bytes = checkpoint_->weight_bytes();
  p.layers = model.layers;
  p.vocabulary_size = model.vocabulary_size;
  p.model_context_tokens = model.context_tokens;
  p.context_tokens = context.tokens;
  p.kv_bytes_per_token = model.state.page_bytes() / kPageTokens;
  p.bos = tokenizer_->vocabulary().bos;
  p.eos = tokenizer_->vocabulary().eos;
  p.backend = device.backend;
  p.instruction_set = device.instruction_set;
  p.threads = device.threads;
  p.batch_invariant = device.batch_invariant;
  if (!context.notice.empty()) p.notices.push_back(context.notice);
}

void InProcessEngine::read_template() {
  const std::optional<std::string> source = read_chat_template(*checkpoint_);
  properties_.reasoning_style = reasoning_style_of_template(source.value_or("")).name;
  if (!source) return;
  try {
    template_.emplace(*source);
    properties_.has_chat_template = true;
  } catch (const Error& error) {
    properties_.notices.push_back(
        fmt::format("the file's chat template cannot be used, prompts are taken as they are: {}", error.what()));
  }
}

std::string InProcessEngine::detokenize(const std::vector<TokenId>& tokens, Tokenizer::Special special) const {
  return tokenizer_->decode(tokens, special);
}

std::string InProcessEngine::apply_template(const std::string& variables_json) const {
  if (!template_) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{} has no chat template; give the prompt as plain text (--raw)", checkpoint_->path()));
  }
  return render_chat(*template_, tokenizer_.get(), parse_json(variables_json, "the template's variables"));
}

void InProcessEngine::check_ids(const std::vector<TokenId>& tokens) const {
  for (const TokenId token : tokens) {
    if (token < 0 || token >= properties_.vocabulary_size) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("token id {} is not in the vocabulary of {} tokens", token, properties_.vocabulary_size));
    }
  }
}

void InProcessEngine::submit(Request request) {
  if (request.prompt.empty()) throw Error(ErrorKind::kUsage, "the prompt is empty: it needs at least one token");
  if (static_cast<int64_t>(request.prompt.size()) > properties_.context_tokens) {
    throw Error(ErrorKind::kUsage,
                fmt::format("the prompt has {} tokens, but the context is {} tokens; shorten it or raise --ctx",
                            request.prompt.size(), properties_.context_tokens));
  }
  check_ids(request.prompt);
  check_ids(request.shown_controls);
  if (request.max_tokens < -1)
    throw Error(ErrorKind::kUsage, "max_tokens must be -1 (until the context is full) or more");
  if (request.top_logprobs > properties_.vocabulary_size) {
    throw Error(ErrorKind::kUsage, fmt::format("{} log-probabilities were asked for, but the vocabulary has {} tokens",
                                               request.top_logprobs, properties_.vocabulary_size));
  }
  validate(request.sampling, properties_.vocabulary_size);
  {
    std::lock_guard lock(mutex_);
    if (broken_) throw Error(*broken_);
    const auto [id, is_new] = ids_.insert(request.id);
    if (!is_new) throw Error(ErrorKind::kUsage, fmt::format("a request with id {} is in flight already", request.id));
    try {
      submissions_.push_back({std::move(request), Clock::now()});
    } catch (...) {
      ids_.erase(id);
      throw;
    }
  }
  work_.notify_one();
}

void InProcessEngine::cancel(uint64_t id) {
  {
    std::lock_guard lock(mutex_);
    if (!ids_.contains(id)) return;
    cancellations_.push_back(id);
  }
  work_.notify_one();
}

std::optional<Event> InProcessEngine::next_event(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!event_.wait_for(lock, timeout, [&] { return !events_.empty(); })) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

int32_t InProcessEngine::in_flight() const {
  std::lock_guard lock(mutex_);
  return static_cast<int32_t>(ids_.size());
}

std::vector<CostMeter::Line> InProcessEngine::take_profile() {
  std::lock_guard lock(mutex_);
  return std::exchange(meter_, {}).lines();
}

void InProcessEngine::publish(std::vector<Event>& events) {
  size_t published = 0;
  try {
    for (; published < events.size(); ++published) {
      Event& event = events_.emplace_back(std::move(events[published]));
      if (event.kind != Event::Kind::kFinished) continue;
      ids_.erase(event.request);
      std::erase(cancellations_, event.request);  // or it would end a later request of the same id
    }
    if (broken_) end_all(*broken_);
  } catch (...) {
    events.erase(events.begin(), events.begin() + static_cast<ptrdiff_t>(published));
    throw;
  }
  if (!events_.empty()) event_.notify_all();
  events.clear();
}

void InProcessEngine::end_all(const Error& fault) {
  while (!ids_.empty()) {
    Event event;
    event.request = *ids_.begin();
    event.kind = Event::Kind::kFinished;
    event.reason = FinishReason::kError;
    event.error_kind = fault.kind();
    event.error = fault.what();
    events_.push_back(std::move(event));
    ids_.erase(ids_.begin());
  }
}

std::optional<Error> InProcessEngine::step(std::vector<Submission> submissions,
                                           const std::vector<uint64_t>& cancellations, std::vector<Event>& events) {
  try {
    for (Submission& submission : submissions) scheduler_->add(std::move(submission.request), submission.at);
    for (const uint64_t id : cancellations) scheduler_->cancel(id, events);
    scheduler_->step(events);
    if (scheduler_->idle()) scheduler_->check_integrity();
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    return out_of_memory_;
  } catch (const std::exception& error) {
    // Not a request's fault (those end alone): the scheduler's own state can no longer be trusted.
    return Error(ErrorKind::kRuntime, fmt::format("the engine stopped after an internal fault: {}", error.what()));
  }
}

bool InProcessEngine::hand_over(std::vector<Event>& events) {
  try {
    meter_.add(step_meter_);
    step_meter_.clear();
    publish(events);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void InProcessEngine::serve() {
  constexpr std::chrono::milliseconds kMemoryRetry{10};
  std::vector<Event> events;
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock,
               [&] { return stopping_ || !submissions_.empty() || !cancellations_.empty() || !scheduler_->idle(); });
    if (stopping_) return;
    std::vector<Submission> submissions = std::exchange(submissions_, {});
    const std::vector<uint64_t> cancellations = std::exchange(cancellations_, {});
    lock.unlock();
    const std::optional<Error> fault = step(std::move(submissions), cancellations, events);
    lock.lock();
    if (fault) broken_.emplace(*fault);
    // Nobody may wait for an event for ever, so where there is no memory to hand it over, it waits for some.
    while (!hand_over(events) && !stopping_) work_.wait_for(lock, kMemoryRetry);
    if (broken_) return;
  }
}

}  // namespace

std::unique_ptr<Engine> open_engine(const EngineOptions& options) {
  return std::make_unique<InProcessEngine>(options, probe_machine());
}

}  // namespace megalith
