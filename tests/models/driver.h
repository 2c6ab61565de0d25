#pragma once
// Runs a model by hand, step by step, without the engine: allocates pages, fills batches, reads logits.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/ledger.h"
#include "files/checkpoint.h"
#include "models/model.h"
#include "ops/reference.h"

namespace megalith::testing {

using MakeOps = std::function<std::unique_ptr<Ops>(Ledger&)>;

inline MakeOps reference_ops(ReferenceNumerics numerics) {
  return [numerics](Ledger& ledger) { return make_reference_ops(ledger, numerics); };
}

/// A sequence that has got this far.
struct Sequence {
  int32_t length = 0;
  std::vector<PageId> pages;
  SlotId slot = -1;  // of its recurrent state, once it has run
};

/// What a sequence was at some length: its pages need no copy, its recurrent state does.
struct Snapshot {
  int32_t length = 0;
  SlotId slot = -1;
};

/// The next tokens of a sequence, of which the last `outputs` want logits.
struct Work {
  Sequence* sequence;
  std::span<const int32_t> tokens;
  int32_t outputs = 0;
};

class Driver {
 public:
  Driver(const std::string& path, const MakeOps& make_ops, int64_t n_pages)
      : checkpoint_(open_checkpoint(path)), ops_(make_ops(ledger_)), model_(load_model(*checkpoint_, *ops_)) {
    ops_->allocate_state(model_->properties().state, n_pages);
    if (has_slots()) ops_->allocate_slots(model_->properties().state, kSlots);
    // Handed out from both ends in turn, so that neighbouring pages of a sequence are never neighbours in memory.
    for (int64_t low = 0, high = n_pages - 1; low <= high; ++low, --high) {
      free_pages_.push_back(static_cast<PageId>(low));
      if (low != high) free_pages_.push_back(static_cast<PageId>(high));
    }
  }

  const Model& model() const { return *model_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }

  void save(const Sequence& sequence, Snapshot& snapshot) {
    snapshot.length = sequence.length;
    if (!has_slots()) return;
    if (snapshot.slot < 0) snapshot.slot = take_slot();
    ops_->copy_slot(sequence.slot, snapshot.slot);
  }
  /// The sequence as it was then. Its later keys and values stay where they are, to be overwritten.
  void restore(Sequence& sequence, const Snapshot& snapshot) {
    sequence.length = snapshot.length;
    if (has_slots()) ops_->copy_slot(snapshot.slot, sequence.slot);
  }

  /// One step; the logits of the rows that want them, in order of `work`.
  std::vector<float> step(std::span<const Work> work) {
    Batch batch;
    for (const Work& one : work) append(batch, one);
    ops_->begin_step(batch, nullptr);
    std::vector<float> logits;
    {
      const Tensor result = model_->forward(*ops_, batch);
      if (result.rows > 0) {
        const std::span<const float> values = ops_->read(result);
        logits.assign(values.begin(), values.end());
      }
    }
    ops_->end_step();
    return logits;
  }

  /// Feeds `tokens` in steps of at most `chunk`; the logits of the last `outputs` of them.
  std::vector<float> feed(Sequence& sequence, std::span<const int32_t> tokens, size_t chunk, size_t outputs) {
    std::vector<float> logits;
    for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
      const size_t end = std::min(begin + chunk, tokens.size());
      const size_t first_output = tokens.size() - outputs;
      const size_t wanted = end > first_output ? end - std::max(begin, first_output) : 0;
      const Work work{&sequence, tokens.subspan(begin, end - begin), static_cast<int32_t>(wanted)};
      const std::vector<float> part = step(std::span(&work, 1));
      logits.insert(logits.end(), part.begin(), part.end());
    }
    return logits;
  }

  std::vector<int32_t> greedy(std::span<const int32_t> prompt, size_t n_tokens) {
    Sequence sequence;
    std::vector<int32_t> tokens;
    std::vector<float> logits = feed(sequence, prompt, prompt.size(), 1);
    while (true) {
      tokens.push_back(static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin()));
      if (tokens.size() == n_tokens) return tokens;
      logits = feed(sequence, std::span(&tokens.back(), 1), 1, 1);
    }
  }

  /// log p(tokens[i] | those before it) for i >= 1.
  std::vector<double> token_logprobs(std::span<const int32_t> tokens, size_t chunk) {
    Sequence sequence;
    const auto vocabulary = static_cast<size_t>(model_->properties().vocabulary_size);
    std::vector<double> logprobs;
    for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
      const std::span<const int32_t> part = tokens.subspan(begin, std::min(chunk, tokens.size() - begin));
      const std::vector<float> logits = feed(sequence, part, part.size(), part.size());
      for (size_t i = 0; i < part.size() && begin + i + 1 < tokens.size(); ++i) {
        const std::span<const float> row = std::span(logits).subspan(i * vocabulary, vocabulary);
        const double maximum = *std::ranges::max_element(row);
        const double sum = std::accumulate(row.begin(), row.end(), 0.0, [&](double total, float value) {
          return total + std::exp(static_cast<double>(value) - maximum);
        });
        const auto next = static_cast<size_t>(tokens[begin + i + 1]);
        logprobs.push_back(static_cast<double>(row[next]) - maximum - std::log(sum));
      }
    }
    return logprobs;
  }

 private:
  static constexpr SlotId kSlots = 24;

  bool has_slots() const { return model_->properties().state.slot_bytes() > 0; }

  /// From the last to the first, so that a sequence's slot has nothing to do with its place in a batch.
  SlotId take_slot() {
    if (slots_given_ == kSlots) throw std::runtime_error("the test needs more slots than its driver has");
    return kSlots - ++slots_given_;
  }

  void append(Batch& batch, const Work& work) {
    Sequence& sequence = *work.sequence;
    const auto n_tokens = static_cast<int32_t>(work.tokens.size());
    const auto first_row = static_cast<int32_t>(batch.tokens.size());
    while (static_cast<int32_t>(sequence.pages.size()) * kPageTokens < sequence.length + n_tokens) {
      sequence.pages.push_back(free_pages_.at(pages_given_++));
      ops_->clear_page(sequence.pages.back());
    }
    if (has_slots() && sequence.slot < 0) {
      sequence.slot = take_slot();
      ops_->clear_slot(sequence.slot);
    }
    for (int32_t i = 0; i < n_tokens; ++i) {
      batch.tokens.push_back(work.tokens[static_cast<size_t>(i)]);
      batch.positions.push_back(sequence.length + i);
      if (i >= n_tokens - work.outputs) batch.output_rows.push_back(first_row + i);
    }
    batch.sequences.push_back({first_row, n_tokens, sequence.length, sequence.pages, sequence.slot});
    sequence.length += n_tokens;
  }

  Ledger ledger_{uint64_t{64} << 30};
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<Ops> ops_;
  std::unique_ptr<Model> model_;
  std::vector<PageId> free_pages_;
  size_t pages_given_ = 0;
  SlotId slots_given_ = 0;
};

}  // namespace megalith::testing
