#pragma once
// The recurrent state of the CPU backend, one slot for each sequence or snapshot, and the ops that carry it.
#include <cstdint>
#include <span>

#include "backends/cpu/arena.h"
#include "base/thread_pool.h"
#include "ops/gated_delta.h"
#include "ops/ops.h"

namespace megalith::cpu {

class SlotPool {
 public:
  /// Reserves "recurrent state" first: throws kDoesNotFit naming the sequences that would fit.
  void allocate(Ledger& ledger, const StateLayout& layout, int64_t n_slots);

  const SlotLayout& layout() const { return layout_; }
  /// Throws kRuntime for a slot that was not allocated.
  float* slot(SlotId slot) const;

  void clear(SlotId slot);
  void copy(SlotId from, SlotId to);
  void save(SlotId slot, std::span<std::byte> out) const;
  void restore(SlotId slot, std::span<const std::byte> in);

 private:
  uint64_t slot_bytes() const { return static_cast<uint64_t>(layout_.floats()) * sizeof(float); }
  void check_size(size_t bytes) const;

  SlotLayout layout_;
  int64_t n_slots_ = 0;
  AlignedMemory memory_;
};

struct ShortConvCall {
  const Batch* batch = nullptr;
  int32_t layer = 0;
  const float* x = nullptr;       // [n_tokens, channels]
  const float* kernel = nullptr;  // [channels, width]
  float* out = nullptr;           // [n_tokens, channels]
};
void run_short_conv(ThreadPool& pool, SlotPool& slots, const ShortConvCall& call);

/// Every head of every sequence is an item of its own: its state is nobody else's.
void run_gated_delta(ThreadPool& pool, SlotPool& slots, const Batch& batch, const GatedDelta& delta,
                     const DeltaTensors& tensors);

}  // namespace megalith::cpu
