#pragma once
// The KV pages of the CPU backend. A page holds 64 positions of all layers: for each layer and kv head the keys
// [key_width][64], then the values [64][stored_value_width], as halves. Keys lie transposed so that a vector holds one
// dimension of many positions (kernels/vector_attention.h).
#include <cstdint>
#include <span>
#include <vector>

#include "backends/cpu/arena.h"
#include "ops/ops.h"

namespace megalith::cpu {

class KvPool {
 public:
  /// Reserves "KV pages" first: throws kDoesNotFit naming the context that would fit.
  void allocate(Ledger& ledger, const StateLayout& layout, int64_t n_pages);

  const PagedKv& layer(int32_t index) const { return layout_.layers[static_cast<size_t>(index)]; }
  uint16_t* halves() const { return reinterpret_cast<uint16_t*>(memory_.data()); }
  int64_t page_halves() const { return page_halves_; }
  /// Of the keys of a layer's kv head inside a page, in halves.
  int64_t key_offset(int32_t layer_index, int32_t kv_head) const;
  int64_t value_offset(int32_t layer_index, int32_t kv_head) const;

  void clear(PageId page);
  void copy(PageId from, PageId to);
  void save(PageId page, std::span<std::byte> out) const;
  void restore(PageId page, std::span<const std::byte> in);

 private:
  uint64_t page_bytes() const { return static_cast<uint64_t>(page_halves_) * sizeof(uint16_t); }
  std::span<std::byte> page(PageId page) const;
  void check_size(size_t bytes) const;

  StateLayout layout_;
  std::vector<int64_t> layer_offsets_;  // halves
  int64_t page_halves_ = 0;
  int64_t n_pages_ = 0;
  AlignedMemory memory_;
};

}  // namespace megalith::cpu
