#pragma once
// Attention, norms and elementwise ops of one instruction set. Included by files compiled with instruction-set flags,
// so nothing here may instantiate a standard template: an out-of-line copy would leak into the portable binary.
#include <cstdint>

namespace megalith::cpu {

/// out = rms_norm(x) * gain over each group of `width`; out may be x.
struct RmsNormTask {
  const float* x;     // [n_groups, width]
  const float* gain;  // [width]
  float* out;         // [n_groups, width]
  int64_t n_groups;
  int64_t width;
  float epsilon;
};

/// Rotates the heads of one token in place. Tables: kHalves [n_pairs] each; kInterleaved [2 n_pairs], each value twice,
/// and the sine of even places negated.
struct RotateTask {
  float* x;  // [n_heads, head_width]
  const float* cosine;
  const float* sine;
  int32_t n_heads;
  int32_t head_width;
  int32_t n_pairs;
};

/// Softmax over some chunks of one query, not yet divided by its sum, lies as value_width outputs, maximum, sum.
constexpr int64_t partial_floats(int64_t value_width) { return value_width + 2; }

/// What an AttentionBlock leaves behind.
enum class AttentionResult {
  kFinal,          // `out`: all chunks that some row sees were given
  kSpanPartials,   // `partials`: [spans][rows]; the chunks begin and end with a span, or with the sequence
  kChunkPartials,  // `partials`: [chunks][rows]
};

/// Consecutive tokens of one sequence, and the query heads that share one kv head. A row is a query of one head:
/// row = token * group + head.
struct AttentionBlock {
  const float* queries;    // of the first token's first head of the group; heads of a group are adjacent
  int64_t queries_stride;  // between tokens
  int32_t n_tokens;
  int32_t group;  // heads
  int32_t first_position;
  int32_t key_width;
  int32_t value_width;
  float scale;
  // The cache: a page holds, for each layer and kv head, keys [key_width][64] and values [64][value_width], as halves.
  const uint16_t* pool;
  int64_t page_halves;
  int64_t key_offset;  // of this layer and kv head inside a page
  int64_t value_offset;
  bool values_are_keys;  // a value is the first value_width floats of its key; no value_offset
  const int32_t* pages;  // of the sequence
  int32_t window;        // positions that a query sees, its own the last; 0: all
  const float* sinks;    // [group] of the first head on, or null
  int32_t first_chunk;   // the first of a span, unless the result is kChunkPartials; no row need see it
  int32_t end_chunk;
  AttentionResult result;
  float* out;          // kFinal: of the first token's first head of the group
  int64_t out_stride;  // between tokens
  float* partials;     // else: [spans or chunks][rows][partial_floats]
  float* scratch;      // [attention_scratch_floats]
};

constexpr int64_t attention_scratch_floats(int64_t n_rows, int64_t key_width, int64_t value_width) {
  return n_rows * key_width + 64 * (key_width + value_width) + 2 * n_rows * partial_floats(value_width);
}

/// Merges the partials of each row, left to right: chunks of a span first, if they are chunks, then spans.
struct PartialMerge {
  float* partials;      // [spans or chunks][rows][partial_floats], from first_chunk on; overwritten
  int32_t first_chunk;  // the first of a span
  int32_t first_position;
  int32_t window;  // as in AttentionBlock, like sinks
  const float* sinks;
  int32_t n_rows;  // n_tokens * group
  int32_t group;
  int32_t value_width;
  int32_t partials_per_span;  // 16: chunks; 1: spans
  float* out;                 // as in AttentionBlock
  int64_t out_stride;
};

struct VectorKernels {
  void (*rms_norm)(const RmsNormTask& task);
  void (*add)(float* a, const float* b, int64_t n);                  // a += b
  void (*silu_gated)(float* gate, const float* up, int64_t n);       // gate = silu(gate) * up
  void (*gelu_tanh_gated)(float* gate, const float* up, int64_t n);  // gate = gelu_tanh(gate) * up
  void (*rotate_halves)(const RotateTask& task);
  void (*rotate_interleaved)(const RotateTask& task);
  void (*to_half)(const float* in, uint16_t* out, int64_t n);
  bool (*all_finite)(const float* x, int64_t n);
  void (*attend)(const AttentionBlock& block);
  void (*merge_partials)(const PartialMerge& merge);
};

}  // namespace megalith::cpu
