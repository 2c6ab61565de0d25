#include "ops/cost.h"

#include <algorithm>

namespace megalith::cost {

Cost linear(uint64_t weight_bytes, int64_t out, int64_t in, int64_t rows) {
  return {.weight_bytes = weight_bytes,
          .state_bytes = 0,
          .multiply_adds = static_cast<uint64_t>(out) * static_cast<uint64_t>(in) * static_cast<uint64_t>(rows)};
}

Cost embed(uint64_t row_bytes, int64_t tokens) {
  return {.weight_bytes = row_bytes * static_cast<uint64_t>(tokens), .state_bytes = 0, .multiply_adds = 0};
}

Cost attention(const PagedKv& layer, int32_t heads, const Batch& batch) {
  constexpr uint64_t kHalfBytes = 2;
  const auto widths = static_cast<uint64_t>(layer.key_width + layer.value_width);
  const auto stored = static_cast<uint64_t>(layer.key_width + layer.stored_value_width());
  const uint64_t token_bytes = static_cast<uint64_t>(layer.kv_heads) * stored * kHalfBytes;
  uint64_t tokens_moved = 0;
  uint64_t pairs = 0;  // of a query token and a position that it sees
  for (const SequenceSlice& sequence : batch.sequences) {
    const auto first = static_cast<uint64_t>(sequence.first_position);
    const auto count = static_cast<uint64_t>(sequence.n_tokens);
    const uint64_t window = layer.window > 0 ? static_cast<uint64_t>(layer.window) : first + count;
    const uint64_t hidden =
        first + 1 > window ? first + 1 - window : 0;   // positions that not even the first token sees
    tokens_moved += (first + count - hidden) + count;  // read, and written before
    // Token i sees min(first + i + 1, window) positions: the first `rising` of them one more each than the one before.
    const uint64_t rising = std::min(count, window > first ? window - first : 0);
    pairs += rising * first + rising * (rising + 1) / 2 + (count - rising) * window;
  }
  return {.weight_bytes = 0,
          .state_bytes = tokens_moved * token_bytes,
          .multiply_adds = pairs * static_cast<uint64_t>(heads) * widths};
}

Cost short_conv(const Recurrent& layer, uint64_t kernel_bytes, const Batch& batch) {
  const auto floats = static_cast<uint64_t>(layer.convolution_floats()) * batch.sequences.size();
  return {.weight_bytes = kernel_bytes,
          .state_bytes = 2 * floats * sizeof(float),
          .multiply_adds = static_cast<uint64_t>(int64_t{layer.channels} * layer.kernel) * batch.tokens.size()};
}

Cost gated_delta(const Recurrent& layer, const Batch& batch) {
  const auto floats = static_cast<uint64_t>(layer.delta_floats());
  return {.weight_bytes = 0,
          .state_bytes = 2 * floats * sizeof(float) * batch.sequences.size(),
          .multiply_adds = 3 * floats * batch.tokens.size()};
}

Cost elementwise(uint64_t weight_bytes) { return {.weight_bytes = weight_bytes, .state_bytes = 0, .multiply_adds = 0}; }

}  // namespace megalith::cost
