#include "engine/scheduler.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/sampler.h"
#include "text/detokenizer.h"

namespace megalith {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// A step that only reads a prompt may last this long before a cancellation is seen; one that answers wait for, this
// long.
constexpr double kPromptStepMs = 500;
constexpr double kSharedStepMs = 100;
constexpr int32_t kMaxChunkTokens = 512;
// Logits of a whole chunk are held at once when every prompt token's probability is wanted.
constexpr int64_t kProbedLogitsBytes = 128 << 20;

uint64_t draw_seed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

}  // namespace

int32_t PromptPacer::chunk_tokens(Company company) const {
  if (fixed_tokens_ > 0) return fixed_tokens_;
  if (ms_per_token_ == 0) return company == Company::kAlone ? kPageTokens * 2 : kPageTokens;
  const double budget_ms = company == Company::kAlone ? kPromptStepMs : kSharedStepMs;
  const double pages = std::floor(budget_ms / ms_per_token_ / kPageTokens);
  return std::clamp(static_cast<int32_t>(std::min(pages, 1e6)) * kPageTokens, kPageTokens, kMaxChunkTokens);
}

void PromptPacer::learn(int32_t prompt_tokens, double step_ms) {
  // Short chunks are bound by reading the weights and say little about the cost of a token.
  if (prompt_tokens < kPageTokens / 2) return;
  const double measured = step_ms / prompt_tokens;
  ms_per_token_ = ms_per_token_ == 0 ? measured : 0.5 * (ms_per_token_ + measured);
}

struct Scheduler::Sequence {
  Sequence(Request wanted, const Tokenizer& tokenizer, Clock::time_point submitted_at)
      : request(std::move(wanted)),
        tokens(request.prompt),
        seed(request.sampling.seed ? *request.sampling.seed : draw_seed()),
        sampler(request.sampling, seed, request.choice,
                request.sampling.dry_multiplier > 0 ? tokens_holding(tokenizer, request.sampling.dry_breakers)
                                                    : std::vector<bool>{}),
        detokenizer(request.stop),
        submitted(submitted_at) {}

  int32_t prompt_tokens() const { return static_cast<int32_t>(request.prompt.size()); }
  int32_t answer_tokens() const { return static_cast<int32_t>(tokens.size()) - prompt_tokens(); }
  int32_t pending() const { return static_cast<int32_t>(tokens.size()) - computed; }
  bool reads_prompt() const { return computed < prompt_tokens(); }

  Request request;
  std::vector<TokenId> tokens;  // prompt, then answer
  int32_t computed = 0;         // of them have their state written
  int32_t token_limit = 0;      // prompt and answer together
  std::vector<PageId> pages;
  std::vector<SlotId> slots;  // one, or none
  uint64_t seed;
  Sampler sampler;
  Detokenizer detokenizer;
  Clock::time_point submitted, started, first_token, last_token;
  std::vector<float> prompt_logprobs, last_logits;
  bool finished = false;
};

Scheduler::Scheduler(const Setup& setup)
    : setup_(setup), pages_(setup.pages), slots_(setup.slots), pacer_(setup.prefill_chunk_tokens) {}

Scheduler::~Scheduler() = default;

void Scheduler::add(Request request, Clock::time_point submitted) {
  auto sequence = std::make_unique<Sequence>(std::move(request), *setup_.tokenizer, submitted);
  const int32_t room = setup_.context_tokens - sequence->prompt_tokens();
  const int32_t wanted = sequence->request.max_tokens;
  sequence->token_limit = sequence->prompt_tokens() + (wanted < 0 ? room : std::min(wanted, room));
  waiting_.push_back(std::move(sequence));
}

void Scheduler::cancel(uint64_t id, std::vector<Event>& events) {
  for (auto& sequence : running_) {
    if (sequence->request.id == id) finish(*sequence, FinishReason::kCancelled, events);
  }
  drop_finished();
  const auto waiting =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& s) { return s->request.id == id; });
  if (waiting != waiting_.end()) {
    finish(**waiting, FinishReason::kCancelled, events);
    waiting_.erase(waiting);
  }
}

void Scheduler::admit() {
  // In order of arrival: a large request at the head waits for its pages rather than being overtaken for ever.
  while (!waiting_.empty() && static_cast<int32_t>(running_.size()) < setup_.max_sequences) {
    Sequence& next = *waiting_.front();
    auto slots = slots_.allocate(setup_.slots > 0 ? 1 : 0);
    if (!slots) return;
    auto pages = pages_.allocate(PagePool::pages_for(next.token_limit));
    if (!pages) {
      slots_.release(*slots);
      return;
    }
    next.pages = std::move(*pages);
    next.slots = std::move(*slots);
    for (const SlotId slot : next.slots) setup_.ops->clear_slot(slot);
    next.started = Clock::now();
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

std::vector<Scheduler::Share> Scheduler::plan() const {
  std::vector<Share> shares;
  for (const auto& sequence : running_) {
    if (!sequence->reads_prompt()) shares.push_back({sequence.get(), sequence->pending()});
  }
  const auto company = shares.empty() ? PromptPacer::Company::kAlone : PromptPacer::Company::kWithAnswers;
  int32_t left = pacer_.chunk_tokens(company);
  const int64_t row_bytes = int64_t{setup_.model->properties().vocabulary_size} * static_cast<int64_t>(sizeof(float));
  const auto probed_chunk = static_cast<int32_t>(std::clamp<int64_t>(kProbedLogitsBytes / row_bytes, 1, INT32_MAX));
  for (const auto& sequence : running_) {
    if (!sequence->reads_prompt() || left == 0) continue;
    int32_t n_tokens = std::min(left, sequence->pending());
    if (sequence->request.probes.prompt_logprobs) n_tokens = std::min(n_tokens, probed_chunk);
    shares.push_back({sequence.get(), n_tokens});
    left -= n_tokens;
  }
  return shares;
}

int32_t Scheduler::output_rows(const Share& share) {
  if (share.sequence->reads_prompt() && share.sequence->request.probes.prompt_logprobs) return share.n_tokens;
  return share.n_tokens == share.sequence->pending() ? 1 : 0;
}

Batch Scheduler::make_batch(std::span<const Share> shares) const {
  Batch batch;
  for (const Share& share : shares) {
    const Sequence& sequence = *share.sequence;
    SequenceSlice slice;
    slice.first_row = static_cast<int32_t>(batch.tokens.size());
    slice.n_tokens = share.n_tokens;
    slice.first_position = sequence.computed;
    slice.pages = sequence.pages;
    if (!sequence.slots.empty()) slice.slot = sequence.slots.front();
    for (int32_t i = 0; i < share.n_tokens; ++i) {
      const int32_t position = sequence.computed + i;
      batch.tokens.push_back(sequence.tokens[static_cast<size_t>(position)]);
      batch.positions.push_back(position);
    }
    const int32_t outputs = output_rows(share);
    for (int32_t i = share.n_tokens - outputs; i < share.n_tokens; ++i) {
      batch.output_rows.push_back(slice.first_row + i);
    }
    batch.sequences.push_back(std::move(slice));
  }
  return batch;
}

void Scheduler::step(std::vector<Event>& events) {
  admit();
  const std::vector<Share> shares = plan();
  if (shares.empty()) return;
  int32_t prompt_tokens = 0;
  for (const Share& share : shares) prompt_tokens += share.sequence->reads_prompt() ? share.n_tokens : 0;
  const auto start = Clock::now();
  run(shares, events);
  pacer_.learn(prompt_tokens, milliseconds(Clock::now() - start));
  drop_finished();
}

void Scheduler::run(std::span<const Share> shares, std::vector<Event>& events) {
  std::optional<Error> error;
  try {
    compute(shares, events);
    return;
  } catch (const Error& caught) {
    error = caught;
  } catch (const std::bad_alloc&) {
    error = Error(ErrorKind::kDoesNotFit, "memory ran out during the step; free memory or lower --ctx");
  }
  if (shares.size() == 1) {
    fail(*shares.front().sequence, *error, events);
    return;
  }
  // What a sequence took from the failed step before the fault stays taken; for the others, computing the same
  // positions again writes the same pages.
  for (const Share& share : shares) {
    if (!share.sequence->finished) run_alone(share, events);
  }
}

void Scheduler::run_alone(const Share& share, std::vector<Event>& events) {
  Sequence& sequence = *share.sequence;
  const int32_t target = sequence.computed + std::min(share.n_tokens, sequence.pending());
  if (!sequence.slots.empty()) rewind(sequence);
  while (!sequence.finished && sequence.computed < target) {
    const Share part{&sequence, std::min(target - sequence.computed, kMaxChunkTokens)};
    run(std::span(&part, 1), events);
  }
}

void Scheduler::rewind(Sequence& sequence) {
  setup_.ops->clear_slot(sequence.slots.front());
  sequence.computed = 0;
  sequence.prompt_logprobs.clear();
}

void Scheduler::clear_new_pages(const Share& share) {
  // Only when they are first written: an answer that may be long must not pay for its whole context at the start.
  const auto end = static_cast<size_t>(PagePool::pages_for(share.sequence->computed + share.n_tokens));
  for (auto page = static_cast<size_t>(PagePool::pages_for(share.sequence->computed)); page < end; ++page) {
    setup_.ops->clear_page(share.sequence->pages[page]);
  }
}

void Scheduler::compute(std::span<const Share> shares, std::vector<Event>& events) {
  for (const Share& share : shares) clear_new_pages(share);
  const Batch batch = make_batch(shares);
  setup_.ops->begin_step(batch, setup_.meter);
  const Tensor scores = setup_.model->forward(*setup_.ops, batch);
  std::span<const float> logits;
  if (!batch.output_rows.empty()) logits = setup_.ops->read(scores);
  setup_.ops->end_step();
  setup_.checkpoint->check_intact();
  for (const float logit : logits) {
    if (!std::isfinite(logit)) {
      throw Error(ErrorKind::kRuntime,
                  "the model's logits are not finite (NaN or infinity); run `megalith inspect --verify` on its file");
    }
  }
  const auto vocabulary = static_cast<size_t>(setup_.model->properties().vocabulary_size);
  for (const Share& share : shares) {
    const size_t values = static_cast<size_t>(output_rows(share)) * vocabulary;
    take_logits(share, logits.first(values), events);
    logits = logits.subspan(values);
  }
}

void Scheduler::take_logits(const Share& share, std::span<const float> rows, std::vector<Event>& events) {
  Sequence& sequence = *share.sequence;
  const auto vocabulary = static_cast<size_t>(setup_.model->properties().vocabulary_size);
  const bool completes = share.n_tokens == sequence.pending();
  const bool was_prompt = sequence.reads_prompt();
  if (was_prompt && sequence.request.probes.prompt_logprobs) {
    for (int32_t i = 0; i < share.n_tokens; ++i) {
      const auto next = static_cast<size_t>(sequence.computed + i + 1);
      if (next >= sequence.request.prompt.size()) break;
      const auto row = rows.subspan(static_cast<size_t>(i) * vocabulary, vocabulary);
      sequence.prompt_logprobs.push_back(logprobs(row, sequence.request.prompt[next], 0).chosen);
    }
  }
  sequence.computed += share.n_tokens;
  if (!completes) return;
  const auto last = rows.last(vocabulary);
  if (was_prompt && sequence.answer_tokens() == 0 && sequence.request.probes.last_logits)
    sequence.last_logits.assign(last.begin(), last.end());
  if (static_cast<int32_t>(sequence.tokens.size()) >= sequence.token_limit) {
    finish(sequence, FinishReason::kLength, events);  // nothing was asked for, or the prompt fills the context
    return;
  }
  choose_token(sequence, last, events);
}

void Scheduler::choose_token(Sequence& sequence, std::span<const float> logits, std::vector<Event>& events) {
  const TokenId token = sequence.sampler.choose(logits, {sequence.tokens, sequence.request.prompt.size()});
  const auto now = Clock::now();
  if (sequence.answer_tokens() == 0) sequence.first_token = sequence.last_token = now;
  if (!sequence.request.probes.ignore_end && setup_.tokenizer->ends_generation(token)) {
    finish(sequence, FinishReason::kEnd, events);
    return;
  }
  sequence.last_token = now;
  Event event;
  event.request = sequence.request.id;
  event.token = token;
  if (sequence.request.top_logprobs >= 0) {
    Logprobs found = logprobs(logits, token, sequence.request.top_logprobs);
    event.logprob = found.chosen;
    event.top_logprobs = std::move(found.top);
  }
  const std::vector<TokenId>& shown = sequence.request.shown_controls;
  const bool is_shown = std::find(shown.begin(), shown.end(), token) != shown.end();
  const auto special = is_shown ? Tokenizer::Special::kRender : Tokenizer::Special::kOmit;
  event.text = sequence.detokenizer.push(setup_.tokenizer->bytes(token, special));
  sequence.tokens.push_back(token);
  events.push_back(std::move(event));
  if (sequence.detokenizer.stopped()) {
    finish(sequence, FinishReason::kStopString, events);
  } else if (static_cast<int32_t>(sequence.tokens.size()) >= sequence.token_limit) {
    finish(sequence, FinishReason::kLength, events);
  }
}

void Scheduler::finish(Sequence& sequence, FinishReason reason, std::vector<Event>& events) {
  Event event;
  event.request = sequence.request.id;
  event.kind = Event::Kind::kFinished;
  event.reason = reason;
  event.text = sequence.detokenizer.finish();
  event.seed = sequence.seed;
  event.usage = {sequence.prompt_tokens(), 0, sequence.answer_tokens()};
  const auto now = Clock::now();
  const bool started = sequence.started != Clock::time_point{};
  const bool answered = sequence.first_token != Clock::time_point{};
  event.timings.queued_ms = milliseconds((started ? sequence.started : now) - sequence.submitted);
  if (started) event.timings.prefill_ms = milliseconds((answered ? sequence.first_token : now) - sequence.started);
  if (answered) event.timings.decode_ms = milliseconds(sequence.last_token - sequence.first_token);
  event.prompt_logprobs = std::move(sequence.prompt_logprobs);
  event.last_logits = std::move(sequence.last_logits);
  events.push_back(std::move(event));
  pages_.release(sequence.pages);
  sequence.pages.clear();
  slots_.release(sequence.slots);
  sequence.slots.clear();
  sequence.finished = true;
}

void Scheduler::fail(Sequence& sequence, const Error& error, std::vector<Event>& events) {
  finish(sequence, FinishReason::kError, events);
  events.back().error_kind = error.kind();
  events.back().error = error.what();
}

void Scheduler::drop_finished() {
  std::erase_if(running_, [](const auto& sequence) { return sequence->finished; });
}

void Scheduler::check_integrity() const {
  pages_.check_integrity();
  slots_.check_integrity();
  size_t held = 0;
  for (const auto& sequence : running_) held += sequence->pages.size();
  if (held + static_cast<size_t>(pages_.free_pages()) != static_cast<size_t>(pages_.size())) {
    throw Error(ErrorKind::kRuntime,
                fmt::format("{} KV pages are held by no sequence",
                            static_cast<size_t>(pages_.size()) - held - static_cast<size_t>(pages_.free_pages())));
  }
}

}  // namespace megalith
