#include "backends/cpu/attention.h"

#include <algorithm>
#include <bit>

namespace megalith::cpu {

namespace {

constexpr int32_t kSpanChunks = kSpanTokens / kPageTokens;
/// Rows that share one float copy of a chunk: copying it costs then a few percent of its use.
constexpr int32_t kBlockRows = 96;
/// Items for each thread, so that the last ones to finish are short.
constexpr int32_t kItemsPerThread = 4;
/// Below so many multiply-adds (some microseconds) waking the pool costs more than it brings.
constexpr int64_t kSerialMultiplyAdds = 200'000;

}  // namespace

AttentionRunner::AttentionRunner(Ledger& ledger, ThreadPool& pool, const VectorKernels& kernels)
    : pool_(pool), kernels_(kernels), scratch_(ledger, "attention scratch"), partials_(ledger, "attention scratch") {}

template <class Body>
void AttentionRunner::for_each(int64_t n_items, const Body& body) {
  if (!parallel_ || n_items == 1) {
    for (int64_t i = 0; i < n_items; ++i) body(i, 0);
  } else {
    pool_.parallel_for(n_items, [&body](int64_t item, int thread) { body(item, thread); });
  }
}

void AttentionRunner::run(KvPool& pages, const AttentionCall& call) {
  plan(pages, call);
  const PagedKv& layer = pages.layer(call.layer);
  const auto n_blocks = static_cast<int64_t>(blocks_.size());
  const auto thread_scratch = [this](int thread) { return scratch_.at_least(0) + thread * scratch_floats_; };

  const auto append_item = [&](int64_t i, int thread) {
    append(pages, call, blocks_[static_cast<size_t>(i / layer.kv_heads)], static_cast<int32_t>(i % layer.kv_heads),
           reinterpret_cast<uint16_t*>(thread_scratch(thread)));
  };
  // A few tokens are appended sooner than the pool wakes up.
  constexpr size_t kFewTokens = 16;
  if (call.batch->tokens.size() <= kFewTokens) {
    for (int64_t i = 0; i < n_blocks * layer.kv_heads; ++i) append_item(i, 0);
  } else {
    for_each(n_blocks * layer.kv_heads, append_item);
  }
  for_each(static_cast<int64_t>(items_.size()),
           [&](int64_t i, int thread) { attend(pages, call, items_[static_cast<size_t>(i)], thread_scratch(thread)); });
}

void AttentionRunner::plan(const KvPool& pages, const AttentionCall& call) {
  const PagedKv& layer = pages.layer(call.layer);
  const int32_t group = call.heads / layer.kv_heads;
  plan_blocks(pages, call);
  plan_runs(layer);

  int32_t largest_rows = 0;
  int64_t partials_floats = 0;
  size_t n_counters = 0;
  items_.clear();
  // The last blocks of a sequence see the most: first come, first done.
  for (size_t b = blocks_.size(); b-- > 0;) {
    TokenBlock& block = blocks_[b];
    const int32_t n_rows = block.n_tokens * group;
    largest_rows = std::max(largest_rows, n_rows);
    block.n_runs = (block.n_chunks + block.run_chunks - 1) / block.run_chunks;
    if (block.n_runs > 1) {
      const int32_t n_partials =
          block.run_chunks % kSpanChunks == 0 ? (block.n_chunks + kSpanChunks - 1) / kSpanChunks : block.n_chunks;
      block.partials_offset = partials_floats;
      block.partials_floats = n_partials * n_rows * partial_floats(layer.value_width);
      partials_floats += block.partials_floats * layer.kv_heads;
      block.first_counter = n_counters;
      n_counters += static_cast<size_t>(layer.kv_heads);
    }
    for (int32_t kv_head = 0; kv_head < layer.kv_heads; ++kv_head) {
      for (int32_t run = 0; run < block.n_runs; ++run) items_.push_back({static_cast<int32_t>(b), kv_head, run});
    }
  }
  constexpr int64_t kCacheLineFloats = 16;
  const int64_t floats = attention_scratch_floats(largest_rows, layer.key_width, layer.value_width);
  scratch_floats_ = (floats + kCacheLineFloats - 1) / kCacheLineFloats * kCacheLineFloats;
  scratch_.at_least(scratch_floats_ * pool_.size());
  partials_.at_least(partials_floats);
  if (n_counters > n_counters_) {
    runs_left_ = std::make_unique<std::atomic<int32_t>[]>(n_counters);
    n_counters_ = n_counters;
  }
  for (const TokenBlock& block : blocks_) {
    if (block.n_runs <= 1) continue;
    for (int32_t kv_head = 0; kv_head < layer.kv_heads; ++kv_head) {
      runs_left_[block.first_counter + static_cast<size_t>(kv_head)].store(block.n_runs, std::memory_order_relaxed);
    }
  }
}

void AttentionRunner::plan_blocks(const KvPool& pages, const AttentionCall& call) {
  const PagedKv& layer = pages.layer(call.layer);
  const int32_t group = call.heads / layer.kv_heads;
  int64_t multiply_adds = 0;
  int64_t tokens = 0;
  for (const SequenceSlice& sequence : call.batch->sequences) {
    int64_t seen = sequence.first_position + (sequence.n_tokens + 1) / 2;
    if (layer.window > 0) seen = std::min<int64_t>(seen, layer.window);
    multiply_adds += sequence.n_tokens * seen * call.heads * (layer.key_width + layer.value_width);
    tokens += sequence.n_tokens;
  }
  parallel_ = pool_.size() > 1 && multiply_adds > kSerialMultiplyAdds;

  int64_t block_tokens = std::max(1, kBlockRows / group);
  if (parallel_) {
    const int64_t wanted_items = static_cast<int64_t>(kItemsPerThread) * pool_.size();
    const int64_t smallest = std::max(1, kBlockRows / 6 / group);
    block_tokens = std::clamp((tokens * layer.kv_heads + wanted_items - 1) / wanted_items, smallest, block_tokens);
  }
  blocks_.clear();
  for (const SequenceSlice& sequence : call.batch->sequences) {
    for (int32_t first = 0; first < sequence.n_tokens; first += static_cast<int32_t>(block_tokens)) {
      TokenBlock block;
      block.sequence = &sequence;
      block.first_token = first;
      block.n_tokens = std::min(static_cast<int32_t>(block_tokens), sequence.n_tokens - first);
      const int32_t first_position = sequence.first_position + first;
      if (layer.window > 0 && first_position >= layer.window) {
        block.first_chunk = (first_position - layer.window + 1) / kSpanTokens * kSpanChunks;
      }
      block.n_chunks = (first_position + block.n_tokens - 1) / kPageTokens + 1 - block.first_chunk;
      blocks_.push_back(block);
    }
  }
}

/// Divides the chunks of blocks among items where there are too few blocks for the pool: long contexts in decode.
void AttentionRunner::plan_runs(const PagedKv& layer) {
  const int64_t wanted_items = static_cast<int64_t>(kItemsPerThread) * pool_.size();
  const bool divide = parallel_ && static_cast<int64_t>(blocks_.size()) * layer.kv_heads < wanted_items;
  int64_t chunks = 0;
  for (const TokenBlock& block : blocks_) chunks += static_cast<int64_t>(block.n_chunks) * layer.kv_heads;
  const auto share = static_cast<int32_t>(std::max<int64_t>(1, chunks / wanted_items));
  const int32_t run = share >= kSpanChunks ? share / kSpanChunks * kSpanChunks
                                           : static_cast<int32_t>(std::bit_floor(static_cast<uint32_t>(share)));
  for (TokenBlock& block : blocks_) block.run_chunks = divide ? run : block.n_chunks;
}

void AttentionRunner::append(KvPool& pages, const AttentionCall& call, const TokenBlock& block, int32_t kv_head,
                             uint16_t* halves) {
  const PagedKv& layer = pages.layer(call.layer);
  const int64_t key_stride = static_cast<int64_t>(layer.kv_heads) * layer.key_width;
  const int64_t value_stride = static_cast<int64_t>(layer.kv_heads) * layer.value_width;
  const int64_t key_offset = pages.key_offset(call.layer, kv_head);
  const int64_t value_offset = pages.value_offset(call.layer, kv_head);
  for (int32_t i = 0; i < block.n_tokens; ++i) {
    const int64_t row = block.sequence->first_row + block.first_token + i;
    const int32_t position = block.sequence->first_position + block.first_token + i;
    const int32_t slot = position % kPageTokens;
    const PageId page = block.sequence->pages[static_cast<size_t>(position / kPageTokens)];
    uint16_t* base = pages.halves() + page * pages.page_halves();
    kernels_.to_half(call.k + row * key_stride + static_cast<int64_t>(kv_head) * layer.key_width, halves,
                     layer.key_width);
    uint16_t* keys = base + key_offset + slot;
    for (int32_t d = 0; d < layer.key_width; ++d) keys[static_cast<int64_t>(d) * kPageTokens] = halves[d];
    if (call.v == nullptr) continue;
    kernels_.to_half(call.v + row * value_stride + static_cast<int64_t>(kv_head) * layer.value_width,
                     base + value_offset + static_cast<int64_t>(slot) * layer.value_width, layer.value_width);
  }
}

void AttentionRunner::attend(const KvPool& pages, const AttentionCall& call, const Item& item, float* scratch) {
  const PagedKv& layer = pages.layer(call.layer);
  const TokenBlock& token_block = blocks_[static_cast<size_t>(item.block)];
  const int32_t group = call.heads / layer.kv_heads;
  const int64_t row = token_block.sequence->first_row + token_block.first_token;
  const int64_t first_head = static_cast<int64_t>(item.kv_head) * group;
  const bool by_span = token_block.run_chunks % kSpanChunks == 0;
  const int32_t first_chunk = item.run * token_block.run_chunks;  // from the block's first on

  AttentionBlock block{};
  block.queries_stride = static_cast<int64_t>(call.heads) * layer.key_width;
  block.queries = call.q + row * block.queries_stride + first_head * layer.key_width;
  block.n_tokens = token_block.n_tokens;
  block.group = group;
  block.first_position = token_block.sequence->first_position + token_block.first_token;
  block.key_width = layer.key_width;
  block.value_width = layer.value_width;
  block.scale = call.scale;
  block.pool = pages.halves();
  block.page_halves = pages.page_halves();
  block.key_offset = pages.key_offset(call.layer, item.kv_head);
  block.value_offset = pages.value_offset(call.layer, item.kv_head);
  block.values_are_keys = layer.values == PagedKv::Values::kPrefixOfKey;
  block.pages = token_block.sequence->pages.data();
  block.window = layer.window;
  block.sinks = call.sinks != nullptr ? call.sinks + first_head : nullptr;
  block.first_chunk = token_block.first_chunk + first_chunk;
  block.end_chunk = token_block.first_chunk + std::min(first_chunk + token_block.run_chunks, token_block.n_chunks);
  block.out_stride = static_cast<int64_t>(call.heads) * layer.value_width;
  block.out = call.out + row * block.out_stride + first_head * layer.value_width;
  block.scratch = scratch;
  if (token_block.n_runs == 1) {
    block.result = AttentionResult::kFinal;
    kernels_.attend(block);
    return;
  }
  block.result = by_span ? AttentionResult::kSpanPartials : AttentionResult::kChunkPartials;
  const int64_t first_partial = by_span ? first_chunk / kSpanChunks : first_chunk;
  block.partials = partials_.at_least(0) + token_block.partials_offset + item.kv_head * token_block.partials_floats +
                   first_partial * block.n_tokens * group * partial_floats(layer.value_width);
  kernels_.attend(block);
  // Whoever finishes last merges: the order of merging is fixed, so it does not matter who.
  std::atomic<int32_t>& left = runs_left_[token_block.first_counter + static_cast<size_t>(item.kv_head)];
  if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) merge(call, layer, token_block, item.kv_head);
}

void AttentionRunner::merge(const AttentionCall& call, const PagedKv& layer, const TokenBlock& block, int32_t kv_head) {
  const int32_t group = call.heads / layer.kv_heads;
  const int64_t row = block.sequence->first_row + block.first_token;
  PartialMerge merge{};
  merge.partials = partials_.at_least(0) + block.partials_offset + kv_head * block.partials_floats;
  merge.first_chunk = block.first_chunk;
  merge.first_position = block.sequence->first_position + block.first_token;
  merge.window = layer.window;
  merge.sinks = call.sinks != nullptr ? call.sinks + static_cast<int64_t>(kv_head) * group : nullptr;
  merge.n_rows = block.n_tokens * group;
  merge.group = group;
  merge.value_width = layer.value_width;
  merge.partials_per_span = block.run_chunks % kSpanChunks == 0 ? 1 : kSpanChunks;
  merge.out_stride = static_cast<int64_t>(call.heads) * layer.value_width;
  merge.out = call.out + row * merge.out_stride + static_cast<int64_t>(kv_head) * group * layer.value_width;
  kernels_.merge_partials(merge);
}

}  // namespace megalith::cpu
