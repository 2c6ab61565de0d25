#include "engine/kv_pages.h"

#include <fmt/core.h>

#include "base/error.h"

namespace megalith {

PagePool::PagePool(int32_t n_pages) : held_(static_cast<size_t>(n_pages), false) {
  free_.reserve(held_.size());
  // Low ids go out first, so that a lightly used pool touches little memory.
  for (int32_t page = n_pages - 1; page >= 0; --page) free_.push_back(page);
}

std::optional<std::vector<PageId>> PagePool::allocate(int32_t n_pages) {
  if (n_pages > free_pages()) return std::nullopt;
  std::vector<PageId> pages(free_.rbegin(), free_.rbegin() + n_pages);
  free_.resize(free_.size() - static_cast<size_t>(n_pages));
  for (const PageId page : pages) held_[static_cast<size_t>(page)] = true;
  return pages;
}

void PagePool::release(std::span<const PageId> pages) {
  for (auto page = pages.rbegin(); page != pages.rend(); ++page) {
    if (*page < 0 || *page >= size() || !held_[static_cast<size_t>(*page)]) {
      throw Error(ErrorKind::kRuntime, fmt::format("KV page {} was given back but is not held", *page));
    }
    held_[static_cast<size_t>(*page)] = false;
    free_.push_back(*page);
  }
}

void PagePool::check_integrity() const {
  std::vector<bool> seen = held_;
  for (const PageId page : free_) {
    if (page < 0 || page >= size() || seen[static_cast<size_t>(page)]) {
      throw Error(ErrorKind::kRuntime, fmt::format("KV page {} is free twice or both free and held", page));
    }
    seen[static_cast<size_t>(page)] = true;
  }
  for (size_t page = 0; page < seen.size(); ++page) {
    if (!seen[page]) throw Error(ErrorKind::kRuntime, fmt::format("KV page {} is lost", page));
  }
}

}  // namespace megalith
