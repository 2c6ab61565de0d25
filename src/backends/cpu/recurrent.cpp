#include "backends/cpu/recurrent.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace megalith::cpu {

void SlotPool::allocate(Ledger& ledger, const StateLayout& layout, int64_t n_slots) {
  layout_ = SlotLayout(layout);
  n_slots_ = n_slots;
  const uint64_t fitting = ledger.available_bytes() / std::max<uint64_t>(1, slot_bytes());
  memory_ = AlignedMemory(ledger, "recurrent state", static_cast<uint64_t>(n_slots) * slot_bytes(),
                          fmt::format("that of {} sequences would fit: run fewer at once", fitting));
}

float* SlotPool::slot(SlotId slot) const {
  if (slot < 0 || slot >= n_slots_) {
    throw Error(ErrorKind::kRuntime, fmt::format("state slot {} is not one of the {} allocated", slot, n_slots_));
  }
  return reinterpret_cast<float*>(memory_.data()) + int64_t{slot} * layout_.floats();
}

void SlotPool::clear(SlotId cleared) { std::memset(slot(cleared), 0, slot_bytes()); }

void SlotPool::copy(SlotId from, SlotId to) {
  if (from != to) std::memcpy(slot(to), slot(from), slot_bytes());
}

void SlotPool::check_size(size_t bytes) const {
  if (bytes == slot_bytes()) return;
  throw Error(ErrorKind::kRuntime,
              fmt::format("a saved recurrent state has {} bytes, one of this model has {}", bytes, slot_bytes()));
}

void SlotPool::save(SlotId saved, std::span<std::byte> out) const {
  check_size(out.size());
  std::memcpy(out.data(), slot(saved), slot_bytes());
}

void SlotPool::restore(SlotId restored, std::span<const std::byte> in) {
  check_size(in.size());
  std::memcpy(slot(restored), in.data(), slot_bytes());
}

void run_short_conv(ThreadPool& pool, SlotPool& slots, const ShortConvCall& call) {
  constexpr int64_t kChannelsPerItem = 256;
  const Recurrent& layer = slots.layout().layer(call.layer);
  const int64_t items = (int64_t{layer.channels} + kChannelsPerItem - 1) / kChannelsPerItem;
  const auto n_sequences = static_cast<int64_t>(call.batch->sequences.size());
  const auto run = [&](int64_t item, int) {
    const SequenceSlice& sequence = call.batch->sequences[static_cast<size_t>(item / items)];
    const int64_t row = int64_t{sequence.first_row} * layer.channels;
    const int64_t begin = item % items * kChannelsPerItem;
    short_conv<ContractMath>({.x = call.x + row,
                              .kernel = call.kernel,
                              .state = slots.slot(sequence.slot) + slots.layout().convolution(call.layer),
                              .out = call.out + row,
                              .n_tokens = sequence.n_tokens,
                              .channels = layer.channels,
                              .width = layer.kernel},
                             begin, std::min<int64_t>(layer.channels, begin + kChannelsPerItem));
  };
  pool.parallel_for(n_sequences * items, run);
}

void run_gated_delta(ThreadPool& pool, SlotPool& slots, const Batch& batch, const GatedDelta& delta,
                     const DeltaTensors& tensors) {
  const Recurrent& layer = slots.layout().layer(delta.layer);
  const auto run = [&](int64_t item, int) {
    const SequenceSlice& sequence = batch.sequences[static_cast<size_t>(item / layer.heads)];
    float* state = slots.slot(sequence.slot) + slots.layout().delta(delta.layer);
    gated_delta<ContractMath>(
        delta_run(delta, layer, tensors, sequence, static_cast<int32_t>(item % layer.heads), state));
  };
  pool.parallel_for(static_cast<int64_t>(batch.sequences.size()) * layer.heads, run);
}

}  // namespace megalith::cpu
