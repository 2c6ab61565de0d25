#include "backends/cpu/arena.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"

namespace megalith::cpu {

namespace {
constexpr uint64_t kPageBytes = 4096;
constexpr std::string_view kArenaLine = "activation arena";

uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }
}  // namespace

AlignedMemory::AlignedMemory(Ledger& ledger, std::string_view line, uint64_t bytes, std::string_view cure)
    : reservation_(ledger.reserve(line, round_up(std::max<uint64_t>(bytes, 1), kPageBytes), cure)),
      memory_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, reservation_.bytes()))) {
  if (memory_ == nullptr) {
    throw Error(ErrorKind::kDoesNotFit, fmt::format("the system refused {} for {}{}{}", format_bytes(bytes), line,
                                                    cure.empty() ? "" : "; ", cure));
  }
}

float* FloatBuffer::at_least(int64_t floats) {
  const uint64_t bytes = static_cast<uint64_t>(floats) * sizeof(float);
  if (memory_.bytes() < bytes) {
    memory_ = {};  // first, so that the old and the new one are never reserved together
    memory_ = AlignedMemory(*ledger_, line_, bytes);
  }
  return reinterpret_cast<float*>(memory_.data());
}

void TensorArena::begin_step() {
  ++step_;
  tensors_.clear();
  free_.clear();
  used_floats_ = 0;
  if (blocks_.size() > 1) {
    uint64_t bytes = 0;
    for (const AlignedMemory& block : blocks_) bytes += block.bytes();
    blocks_.clear();
    add_block(static_cast<int64_t>(bytes / sizeof(float)));
  }
}

void TensorArena::add_block(int64_t floats) {
  blocks_.emplace_back(ledger_, kArenaLine, static_cast<uint64_t>(floats) * sizeof(float),
                       "lower --ctx or free memory");
  used_floats_ = 0;
}

TensorArena::Place TensorArena::take(int64_t floats) {
  const auto found = std::ranges::find(free_, floats, &Place::floats);
  if (found != free_.end()) {
    const Place place = *found;
    *found = free_.back();
    free_.pop_back();
    return place;
  }
  constexpr int64_t kSmallestBlock = 1 << 18;
  if (blocks_.empty() || used_floats_ + floats > static_cast<int64_t>(blocks_.back().bytes() / sizeof(float))) {
    add_block(std::max(floats, kSmallestBlock));
  }
  const Place place{reinterpret_cast<float*>(blocks_.back().data()) + used_floats_, floats};
  used_floats_ += floats;
  return place;
}

Tensor TensorArena::make(int64_t rows, int64_t columns) {
  constexpr int64_t kCacheLineFloats = 16;
  const int64_t floats = (rows * columns + kCacheLineFloats - 1) / kCacheLineFloats * kCacheLineFloats;
  const Place place = take(floats);
  tensors_.push_back({place, 1});
  free_.reserve(tensors_.capacity());
  return {*this, static_cast<int32_t>(tensors_.size() - 1), step_, rows, columns};
}

void TensorArena::retain(int32_t id, uint32_t step) noexcept {
  if (step == step_) ++tensors_[static_cast<size_t>(id)].handles;
}

void TensorArena::release(int32_t id, uint32_t step) noexcept {
  if (step != step_) return;
  Stored& stored = tensors_[static_cast<size_t>(id)];
  if (--stored.handles == 0) free_.push_back(stored.place);
}

}  // namespace megalith::cpu
