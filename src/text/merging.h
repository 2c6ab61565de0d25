#pragma once
// Byte-pair merging of one word: of all adjacent pairs the one of the lowest rank merges first, the leftmost of equals.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "text/token_id.h"

namespace megalith {

struct MergeSymbol {
  TokenId token;           // -1: no token
  uint32_t begin, length;  // bytes of the word
  int32_t previous, next;  // positions; -1: none
  int32_t rank;            // of the merge with the next symbol
  TokenId result;          // of that merge
};

struct MergeScratch {
  struct Candidate {
    int32_t rank, position;
    // std::push_heap keeps the greatest on top.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::vector<MergeSymbol> symbols;
  std::vector<Candidate> heap;

  void clear() {
    symbols.clear();
    heap.clear();
  }
  void add(TokenId token, size_t begin, size_t length) {
    const int32_t position = static_cast<int32_t>(symbols.size());
    if (position > 0) symbols.back().next = position;
    symbols.push_back(
        {token, static_cast<uint32_t>(begin), static_cast<uint32_t>(length), position - 1, -1, INT32_MAX, -1});
  }
};

/// Merges the symbols that were added. `find_merge(left, right)` sets rank and result of the left symbol for a merge
/// with the right one; false if there is none. The symbols that are left are linked by `next` from the first on.
/// n log n for n symbols.
template <typename FindMerge>
void merge_symbols(MergeScratch& scratch, FindMerge find_merge) {
  std::vector<MergeSymbol>& symbols = scratch.symbols;
  std::vector<MergeScratch::Candidate>& heap = scratch.heap;
  const auto find = [&](int32_t position) {
    MergeSymbol& left = symbols[position];
    left.rank = INT32_MAX;
    return left.next >= 0 && find_merge(left, symbols[left.next]);
  };
  for (int32_t i = 0; i < static_cast<int32_t>(symbols.size()); ++i) {
    if (find(i)) heap.push_back({symbols[i].rank, i});
  }
  std::make_heap(heap.begin(), heap.end());
  const auto renew_pair = [&](int32_t position) {
    if (!find(position)) return;
    heap.push_back({symbols[position].rank, position});
    std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    const MergeScratch::Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    MergeSymbol& left = symbols[best.position];
    if (left.rank != best.rank) continue;  // one of the two has merged since
    MergeSymbol& right = symbols[left.next];
    right.rank = INT32_MAX;
    left.token = left.result;
    left.length += right.length;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.position;
    renew_pair(best.position);
    if (left.previous >= 0) renew_pair(left.previous);
  }
}

}  // namespace megalith
