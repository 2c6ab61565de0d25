#pragma once
// The logical side of the paged KV: which sequence holds which page. The bytes belong to the device (ops.h).
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ops/ops.h"

namespace megalith {

class PagePool {
 public:
  explicit PagePool(int32_t n_pages);

  int32_t size() const { return static_cast<int32_t>(held_.size()); }
  int32_t free_pages() const { return static_cast<int32_t>(free_.size()); }
  /// Pages for a sequence, or none if there are not enough; never a part of them.
  std::optional<std::vector<PageId>> allocate(int32_t n_pages);
  /// Gives pages back. Throws kRuntime if one is not held.
  void release(std::span<const PageId> pages);
  /// Throws kRuntime unless every page is either free once or held.
  void check_integrity() const;

  static int32_t pages_for(int64_t tokens) { return static_cast<int32_t>((tokens + kPageTokens - 1) / kPageTokens); }

 private:
  std::vector<PageId> free_;  // the next one to give out is last
  std::vector<bool> held_;
};

}  // namespace megalith
