#pragma once
// Attention over the KV pages of all sequences of a step: appends, then divides the work over the pool.
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/cpu/arena.h"
#include "backends/cpu/kernels/vector_kernels.h"
#include "backends/cpu/kv_pool.h"
#include "base/thread_pool.h"

namespace megalith::cpu {

struct AttentionCall {
  const Batch* batch = nullptr;
  int32_t layer = 0;
  int32_t heads = 0;
  float scale = 0.0F;
  const float* sinks = nullptr;  // [heads] or null
  const float* q = nullptr;      // [n_tokens, heads * key_width]
  const float* k = nullptr;      // [n_tokens, kv_heads * key_width]
  const float* v = nullptr;      // [n_tokens, kv_heads * value_width], or null where values are prefixes of keys
  float* out = nullptr;          // [n_tokens, heads * value_width]
};

class AttentionRunner {
 public:
  AttentionRunner(Ledger& ledger, ThreadPool& pool, const VectorKernels& kernels);
  /// Writes k and v to the pages of their positions, then attends.
  void run(KvPool& pages, const AttentionCall& call);

 private:
  /// Consecutive tokens of one sequence: the work of one item, for one kv head.
  struct TokenBlock {
    const SequenceSlice* sequence = nullptr;
    int32_t first_token = 0;  // of the sequence's
    int32_t n_tokens = 0;
    int32_t first_chunk = 0;      // of the span in which its first token's window begins
    int32_t n_chunks = 0;         // from there to its last token's
    int32_t run_chunks = 0;       // chunks of one item; >= n_chunks: all of them
    int32_t n_runs = 0;           // items for each kv head
    int64_t partials_offset = 0;  // of its first kv head; floats
    int64_t partials_floats = 0;  // of one kv head
    size_t first_counter = 0;     // of its first kv head
  };
  struct Item {
    int32_t block = 0;
    int32_t kv_head = 0;
    int32_t run = 0;
  };

  void plan(const KvPool& pages, const AttentionCall& call);
  void plan_blocks(const KvPool& pages, const AttentionCall& call);
  void plan_runs(const PagedKv& layer);
  void append(KvPool& pages, const AttentionCall& call, const TokenBlock& block, int32_t kv_head, uint16_t* halves);
  void attend(const KvPool& pages, const AttentionCall& call, const Item& item, float* scratch);
  void merge(const AttentionCall& call, const PagedKv& layer, const TokenBlock& block, int32_t kv_head);
  template <class Body>
  void for_each(int64_t n_items, const Body& body);

  ThreadPool& pool_;
  const VectorKernels& kernels_;
  FloatBuffer scratch_;  // [threads][scratch_floats_]
  FloatBuffer partials_;
  int64_t scratch_floats_ = 0;
  bool parallel_ = false;
  std::vector<TokenBlock> blocks_;
  std::vector<Item> items_;
  std::unique_ptr<std::atomic<int32_t>[]> runs_left_;  // of each block and kv head
  size_t n_counters_ = 0;
};

}  // namespace megalith::cpu
