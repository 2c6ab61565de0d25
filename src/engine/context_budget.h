#pragma once
// How long a context memory allows: the one formula of the engine, which grants it, and of `doctor`, which foretells
// it.
#include <algorithm>
#include <cstdint>

#include "ops/ops.h"

namespace megalith {

/// Kept free of KV when the context is chosen: activations, logits, tokenizer tables.
inline constexpr uint64_t kHeadroomBytes = 256ULL << 20;

/// What is left for KV of `available_bytes` (after the weights).
inline uint64_t usable_for_kv(uint64_t available_bytes) {
  return available_bytes > kHeadroomBytes ? available_bytes - kHeadroomBytes : 0;
}

/// The longest context in tokens, whole pages, that fits for `sequences` sequences at once.
inline int32_t largest_context(uint64_t available_bytes, uint64_t page_bytes, uint64_t sequences) {
  const uint64_t pages = usable_for_kv(available_bytes) / std::max<uint64_t>(1, page_bytes * sequences);
  return static_cast<int32_t>(std::min<uint64_t>(pages, INT32_MAX / kPageTokens) * kPageTokens);
}

/// The context to name as a cure: what fits now less a thirty-second, in whole pages, because free memory moves by some
/// megabytes until the next run; all of it where that would leave nothing.
inline int32_t advisable_context(int32_t largest_tokens) {
  const int32_t lowered = (largest_tokens - largest_tokens / 32) / kPageTokens * kPageTokens;
  return lowered > 0 ? lowered : largest_tokens;
}

}  // namespace megalith
