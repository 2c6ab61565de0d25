#pragma once
// What probes of P3 compare and feed.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace megalith::testing {

/// Index of the first value whose bits differ, or -1.
inline ptrdiff_t first_difference(const std::vector<float>& ours, const std::vector<float>& theirs) {
  if (ours.size() != theirs.size()) return 0;
  const auto same_bits = [](float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); };
  const auto found = std::ranges::mismatch(ours, theirs, same_bits);
  return found.in1 == ours.end() ? -1 : found.in1 - ours.begin();
}

/// Reproducible token ids that are no text: every id of the vocabulary comes.
inline std::vector<int32_t> synthetic_tokens(size_t n, uint32_t seed) {
  std::vector<int32_t> tokens;
  uint32_t state = seed;
  while (tokens.size() < n) {
    state = state * 1664525U + 1013904223U;
    tokens.push_back(static_cast<int32_t>((state >> 8) % 300));
  }
  return tokens;
}

}  // namespace megalith::testing
