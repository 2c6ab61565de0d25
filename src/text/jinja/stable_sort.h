#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace megalith::jinja {

/// A stable merge sort that stays inside the vector even if `less` contradicts itself, as comparisons with nan do, and
/// that may be left by an exception (what the vector holds is then unspecified).
template <typename T, typename Less>
void stable_sort(std::vector<T>& items, Less less) {
  std::vector<T> merged;
  for (std::size_t width = 1; width < items.size(); width *= 2) {
    merged.clear();
    merged.reserve(items.size());
    for (std::size_t start = 0; start < items.size(); start += 2 * width) {
      const std::size_t middle = std::min(start + width, items.size());
      const std::size_t end = std::min(start + 2 * width, items.size());
      std::size_t left = start, right = middle;
      while (left < middle || right < end) {
        const bool take_right = left == middle || (right < end && less(items[right], items[left]));
        merged.push_back(std::move(items[take_right ? right++ : left++]));
      }
    }
    items.swap(merged);
  }
}

}  // namespace megalith::jinja
