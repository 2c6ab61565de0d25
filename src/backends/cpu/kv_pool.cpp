#include "backends/cpu/kv_pool.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace megalith::cpu {

void KvPool::allocate(Ledger& ledger, const StateLayout& layout, int64_t n_pages) {
  layout_ = layout;
  layer_offsets_.clear();
  page_halves_ = 0;
  for (const PagedKv& layer : layout.layers) {
    layer_offsets_.push_back(page_halves_);
    page_halves_ += static_cast<int64_t>(layer.kv_heads) * (layer.key_width + layer.stored_value_width()) * kPageTokens;
  }
  n_pages_ = n_pages;
  const uint64_t fitting_tokens = ledger.available_bytes() / std::max<uint64_t>(1, layout.page_bytes()) * kPageTokens;
  memory_ = AlignedMemory(ledger, "KV pages", static_cast<uint64_t>(n_pages) * page_bytes(),
                          fmt::format("{} tokens would fit: lower --ctx", fitting_tokens));
}

int64_t KvPool::key_offset(int32_t layer_index, int32_t kv_head) const {
  const PagedKv& kv = layer(layer_index);
  return layer_offsets_[static_cast<size_t>(layer_index)] +
         static_cast<int64_t>(kv_head) * (kv.key_width + kv.stored_value_width()) * kPageTokens;
}

int64_t KvPool::value_offset(int32_t layer_index, int32_t kv_head) const {
  return key_offset(layer_index, kv_head) + static_cast<int64_t>(layer(layer_index).key_width) * kPageTokens;
}

std::span<std::byte> KvPool::page(PageId page) const {
  if (page < 0 || page >= n_pages_) {
    throw Error(ErrorKind::kRuntime, fmt::format("KV page {} is not one of the {} allocated", page, n_pages_));
  }
  return {memory_.data() + static_cast<uint64_t>(page) * page_bytes(), page_bytes()};
}

void KvPool::clear(PageId cleared) { std::memset(page(cleared).data(), 0, page_bytes()); }

void KvPool::copy(PageId from, PageId to) {
  if (from != to) std::memcpy(page(to).data(), page(from).data(), page_bytes());
}

void KvPool::check_size(size_t bytes) const {
  if (bytes == page_bytes()) return;
  throw Error(ErrorKind::kRuntime,
              fmt::format("a saved KV page has {} bytes, one of this model has {}", bytes, page_bytes()));
}

void KvPool::save(PageId saved, std::span<std::byte> out) const {
  check_size(out.size());
  std::memcpy(out.data(), page(saved).data(), page_bytes());
}

void KvPool::restore(PageId restored, std::span<const std::byte> in) {
  check_size(in.size());
  std::memcpy(page(restored).data(), in.data(), page_bytes());
}

}  // namespace megalith::cpu
