// Attention of the CPU backend: the same bits as the contract's plain loops, whatever the instruction set, the number
// of threads, the chunking of the prompt and the neighbours in the batch.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "available.h"
#include "backends/cpu/cpu_ops.h"
#include "ops/reference_arithmetic.h"
#include "ops/synthetic.h"

namespace megalith::cpu {
namespace {

using testing::Random;
using testing::SyntheticWeights;
using testing::TestSequence;

constexpr uint64_t kPlenty = uint64_t{1} << 40;

struct Shape {
  int32_t kv_heads = 1;
  int32_t group = 1;
  int32_t key_width = 64;
  int32_t value_width = 64;
  int32_t tokens = 1;
  int32_t window = 0;
  bool sinks = false;
  bool prefix_values = false;  // values are prefixes of keys
};

std::string describe(const Shape& shape) {
  return std::to_string(shape.kv_heads) + " kv heads x" + std::to_string(shape.group) + ", widths " +
         std::to_string(shape.key_width) + "/" + std::to_string(shape.value_width) + ", " +
         std::to_string(shape.tokens) + " tokens, window " + std::to_string(shape.window) +
         (shape.sinks ? ", sinks" : "") + (shape.prefix_values ? ", values in keys" : "");
}

/// Queries, keys and values: rows of tables that token t picks row t of.
struct Rows {
  std::vector<float> q, k, v, sinks;
  explicit Rows(const Shape& shape) {
    Random random(static_cast<uint64_t>(shape.tokens * 1000 + shape.key_width));
    const auto tokens = static_cast<size_t>(shape.tokens);
    q = random.vector(tokens * static_cast<size_t>(shape.kv_heads * shape.group * shape.key_width), 4.0F);
    k = random.vector(tokens * static_cast<size_t>(shape.kv_heads * shape.key_width), 4.0F);
    v = random.vector(tokens * static_cast<size_t>(shape.kv_heads * shape.value_width), 4.0F);
    // Below, among and above the scores.
    sinks = random.vector(static_cast<size_t>(shape.kv_heads * shape.group), 30.0F);
  }
};

constexpr float kScale = 0.11F;

/// An Ops with the three tables, and the results of sequences that walk through them.
class Runner {
 public:
  Runner(const Shape& shape, const Rows& rows, const KernelTable& table, int threads)
      : shape_(shape), ops_(make_ops(ledger_, table, threads)) {
    const int64_t tokens = shape.tokens;
    q_ = ops_->adopt(
        weights_.encode("q", {tokens, shape.kv_heads * shape.group * shape.key_width}, rows.q, Format::kF32));
    k_ = ops_->adopt(weights_.encode("k", {tokens, shape.kv_heads * shape.key_width}, rows.k, Format::kF32));
    v_ = ops_->adopt(weights_.encode("v", {tokens, shape.kv_heads * shape.value_width}, rows.v, Format::kF32));
    pages_each_ = shape.tokens / kPageTokens + 1;
    constexpr int32_t kSequences = 4;
    if (shape.sinks) {
      sinks_ = ops_->adopt(weights_.encode("sinks", {shape.kv_heads * shape.group}, rows.sinks, Format::kF32));
    }
    const PagedKv kv{.kv_heads = shape.kv_heads,
                     .key_width = shape.key_width,
                     .value_width = shape.value_width,
                     .window = shape.window,
                     .values = shape.prefix_values ? PagedKv::Values::kPrefixOfKey : PagedKv::Values::kOwn};
    ops_->allocate_state({.layers = {kv, kv}, .kv_type = KvType::kF16}, pages_each_ * kSequences);
    for (int32_t s = 0; s < kSequences; ++s) {
      TestSequence& sequence = sequences_.emplace_back();
      // Pages in no order, those of the sequences interleaved.
      for (int32_t p = pages_each_; p-- > 0;) sequence.pages.push_back(p * kSequences + s);
      for (const PageId page : sequence.pages) ops_->clear_page(page);
      sequence.tokens.resize(static_cast<size_t>(shape.tokens));
      std::iota(sequence.tokens.begin(), sequence.tokens.end(), 0);
    }
  }

  /// All tokens of sequence 0 in chunks, alone.
  std::vector<float> run(int32_t chunk) {
    std::vector<float> results;
    while (sequences_[0].done < shape_.tokens) {
      const int32_t count = std::min(chunk, shape_.tokens - sequences_[0].done);
      append(results, step({{0, count}}), 0, count);
    }
    return results;
  }

  /// Some tokens of several sequences in one step: (sequence, count) each. All rows.
  std::vector<float> step(const std::vector<std::pair<size_t, int32_t>>& slices) {
    Batch batch;
    for (const auto& [sequence, count] : slices) testing::add_slice(batch, sequences_[sequence], count);
    ops_->begin_step(batch, nullptr);
    const Tensor out =
        ops_->attention(ops_->embed(q_), ops_->embed(k_), shape_.prefix_values ? Tensor() : ops_->embed(v_),
                        {.layer = 1, .heads = shape_.kv_heads * shape_.group, .scale = kScale, .sinks = sinks_});
    const std::span<const float> values = ops_->read(out);
    std::vector<float> results(values.begin(), values.end());
    ops_->end_step();
    for (const auto& [sequence, count] : slices) sequences_[sequence].done += count;
    return results;
  }

  void append(std::vector<float>& results, const std::vector<float>& step, int32_t first_row, int32_t count) const {
    const auto begin = step.begin() + static_cast<ptrdiff_t>(first_row) * row_floats();
    results.insert(results.end(), begin, begin + static_cast<ptrdiff_t>(count) * row_floats());
  }
  int32_t row_floats() const { return shape_.kv_heads * shape_.group * shape_.value_width; }
  std::vector<TestSequence>& sequences() { return sequences_; }

 private:
  Shape shape_;
  Ledger ledger_{kPlenty};
  SyntheticWeights weights_{1};
  std::unique_ptr<Ops> ops_;
  Weight q_, k_, v_, sinks_;
  int32_t pages_each_ = 0;
  std::vector<TestSequence> sequences_;
};

/// The contract's result of one token, all heads.
std::vector<float> expected_row(const Shape& shape, const Rows& rows, int32_t token) {
  const auto arithmetic = reference::make_contract_arithmetic();
  std::vector<float> k = rows.k;
  std::vector<float> v = rows.v;
  for (float& value : k) value = arithmetic->cached(value);
  for (float& value : v) value = arithmetic->cached(value);
  std::vector<float> result(static_cast<size_t>(shape.kv_heads * shape.group * shape.value_width));
  for (int32_t head = 0; head < shape.kv_heads * shape.group; ++head) {
    const int32_t kv_head = head / shape.group;
    std::vector<const float*> keys;
    std::vector<const float*> values;
    const int32_t first = shape.window > 0 ? std::max(0, token - shape.window + 1) : 0;
    for (int32_t p = first; p <= token; ++p) {
      keys.push_back(&k[static_cast<size_t>((p * shape.kv_heads + kv_head) * shape.key_width)]);
      const float* own = &v[static_cast<size_t>((p * shape.kv_heads + kv_head) * shape.value_width)];
      values.push_back(shape.prefix_values ? keys.back() : own);
    }
    reference::AttentionView view{
        .keys = keys, .values = values, .scale = kScale, .first_position = static_cast<size_t>(first)};
    if (shape.sinks) view.sink = rows.sinks[static_cast<size_t>(head)];
    const auto query = static_cast<size_t>((token * shape.kv_heads * shape.group + head) * shape.key_width);
    arithmetic->attend(std::span(rows.q).subspan(query, static_cast<size_t>(shape.key_width)), view,
                       std::span(result).subspan(static_cast<size_t>(head * shape.value_width),
                                                 static_cast<size_t>(shape.value_width)));
  }
  return result;
}

::testing::AssertionResult same(const std::vector<float>& a, const std::vector<float>& b, int32_t row_floats) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " values against " << b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) {
      return ::testing::AssertionFailure()
             << "row " << i / static_cast<size_t>(row_floats) << " column " << i % static_cast<size_t>(row_floats)
             << ": " << a[i] << " against " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

class CpuAttention : public ::testing::TestWithParam<const KernelTable*> {
 protected:
  bool scalar() const { return GetParam()->instruction_set == InstructionSet::kScalar; }
};

INSTANTIATE_TEST_SUITE_P(Sets, CpuAttention, ::testing::ValuesIn(available_tables()), TableName());

TEST_P(CpuAttention, FollowsTheContract) {
  std::vector<Shape> shapes;
  for (const int32_t group : {1, 2, 3, 7}) {
    for (const int32_t width : {32, 64, 80, 128}) {
      shapes.push_back(
          {.kv_heads = 1 + group % 2, .group = group, .key_width = width, .value_width = width, .tokens = 150});
    }
  }
  shapes.push_back({.kv_heads = 2, .group = 2, .key_width = 24, .value_width = 20, .tokens = 130});  // no full vectors
  shapes.push_back({.kv_heads = 1, .group = 5, .key_width = 40, .value_width = 72, .tokens = 130});
  shapes.push_back({.kv_heads = 1, .group = 16, .key_width = 64, .value_width = 96, .tokens = 70});
  for (const Shape& shape : shapes) {
    const Rows rows(shape);
    Runner runner(shape, rows, *GetParam(), 2);
    const std::vector<float> all = runner.run(shape.tokens);
    for (const int32_t token : {0, 1, 62, 63, 64, 65, shape.tokens - 1}) {
      std::vector<float> row;
      runner.append(row, all, token, 1);
      EXPECT_TRUE(same(row, expected_row(shape, rows, token), runner.row_floats())) << describe(shape) << ", " << token;
    }
  }
}

TEST_P(CpuAttention, FollowsTheContractInLongContexts) {
  const int32_t width = scalar() ? 8 : 32;
  for (const int32_t tokens : {1, 63, 64, 65, 1023, 1024, 1025, 2500}) {
    if (scalar() && tokens > 1025) continue;  // slow
    const Shape shape{.kv_heads = 2, .group = 3, .key_width = width, .value_width = width, .tokens = tokens};
    const Rows rows(shape);
    Runner prompt(shape, rows, *GetParam(), 2);
    Runner decode(shape, rows, *GetParam(), 3);
    const std::vector<float> expected = expected_row(shape, rows, tokens - 1);
    const std::vector<float> all = prompt.run(tokens);
    std::vector<float> last;
    prompt.append(last, all, tokens - 1, 1);
    EXPECT_TRUE(same(last, expected, prompt.row_floats())) << tokens;
    if (tokens > 1) decode.step({{0, tokens - 1}});
    EXPECT_TRUE(same(decode.step({{0, 1}}), expected, prompt.row_floats())) << "decoding " << tokens;
  }
}

/// Windows that end inside, at and across chunks and spans, with and without what else attention can do.
std::vector<Shape> windowed_shapes(int32_t tokens, int32_t width) {
  std::vector<Shape> shapes;
  for (const int32_t window : {1, 5, 63, 64, 65, 128, 200, 1000, 1024, 1100}) {
    shapes.push_back({.kv_heads = 1 + window % 2,
                      .group = 1 + window % 3,
                      .key_width = width,
                      .value_width = width,
                      .tokens = tokens,
                      .window = window,
                      .sinks = window % 5 == 0,
                      .prefix_values = window == 65});
  }
  return shapes;
}

TEST_P(CpuAttention, SeesItsWindowOnly) {
  const int32_t tokens = scalar() ? 300 : 2300;
  for (const Shape& shape : windowed_shapes(tokens, scalar() ? 8 : 32)) {
    if (scalar() && shape.window > 300) continue;
    const Rows rows(shape);
    Runner prompt(shape, rows, *GetParam(), 2);
    const std::vector<float> all = prompt.run(tokens);
    for (const int32_t token :
         {0, 1, 64, 65, 127, 128, 199, 200, 263, 1023, 1024, 1087, 1088, 2047, 2100, tokens - 1}) {
      if (token >= tokens) continue;
      std::vector<float> row;
      prompt.append(row, all, token, 1);
      EXPECT_TRUE(same(row, expected_row(shape, rows, token), prompt.row_floats())) << describe(shape) << ", " << token;
    }
    for (const int32_t done : {tokens - 1, 1024, 1100}) {
      if (done >= tokens) continue;
      Runner decode(shape, rows, *GetParam(), 3);
      decode.step({{0, done}});
      EXPECT_TRUE(same(decode.step({{0, 1}}), expected_row(shape, rows, done), decode.row_floats()))
          << describe(shape) << ", decoding " << done;
    }
    Runner chunked(shape, rows, *GetParam(), 3);
    EXPECT_TRUE(same(chunked.run(37), all, chunked.row_floats())) << describe(shape) << ", chunks of 37";
  }
}

TEST_P(CpuAttention, SinksAndValuesInKeysFollowTheContract) {
  for (const int32_t tokens : {1, 64, 70, 150, 1100}) {
    if (scalar() && tokens > 150) continue;
    for (const auto& [sinks, prefix] : {std::pair{true, false}, {false, true}, {true, true}}) {
      const Shape shape{.kv_heads = 1,
                        .group = 5,
                        .key_width = 40,
                        .value_width = prefix ? 24 : 40,
                        .tokens = tokens,
                        .sinks = sinks,
                        .prefix_values = prefix};
      const Rows rows(shape);
      Runner prompt(shape, rows, *GetParam(), 2);
      const std::vector<float> all = prompt.run(tokens);
      for (const int32_t token : {0, 63, 64, 100, tokens - 1}) {
        if (token >= tokens) continue;
        std::vector<float> row;
        prompt.append(row, all, token, 1);
        EXPECT_TRUE(same(row, expected_row(shape, rows, token), prompt.row_floats()))
            << describe(shape) << ", " << token;
      }
      Runner decode(shape, rows, *GetParam(), 3);
      if (tokens > 1) decode.step({{0, tokens - 1}});
      EXPECT_TRUE(same(decode.step({{0, 1}}), expected_row(shape, rows, tokens - 1), decode.row_floats()))
          << describe(shape) << ", decoding";
    }
  }
}

TEST_P(CpuAttention, ChunksAndThreadsChangeNothing) {
  const std::vector<int32_t> contexts = scalar() ? std::vector{130} : std::vector{65, 1025, 2500};
  for (const int32_t tokens : contexts) {
    const Shape shape{.kv_heads = 1, .group = 3, .key_width = 64, .value_width = 64, .tokens = tokens};
    const Rows rows(shape);
    const std::vector<float> expected = Runner(shape, rows, *GetParam(), 1).run(tokens);
    for (const int threads : {1, 2, 3, 4}) {
      for (const int32_t chunk : {1, 7, 64, 512}) {
        if (chunk == 1 && threads % 2 == 1) continue;  // 2,500 steps each
        Runner runner(shape, rows, *GetParam(), threads);
        EXPECT_TRUE(same(runner.run(chunk), expected, runner.row_floats()))
            << tokens << " tokens, chunks of " << chunk << ", " << threads << " threads";
      }
    }
  }
}

TEST_P(CpuAttention, NeighboursChangeNothing) {
  const int32_t tokens = scalar() ? 200 : 1300;
  const Shape shape{.kv_heads = 2, .group = 2, .key_width = 32, .value_width = 64, .tokens = tokens};
  const Rows rows(shape);
  const std::vector<float> expected = Runner(shape, rows, *GetParam(), 1).run(tokens);
  for (const int threads : {1, 4}) {
    Runner runner(shape, rows, *GetParam(), threads);
    std::vector<std::vector<float>> results(4);
    Random random(3);
    const auto unfinished = [&](size_t s) { return runner.sequences()[s].done < tokens; };
    while (unfinished(0) || unfinished(1) || unfinished(2) || unfinished(3)) {
      std::vector<std::pair<size_t, int32_t>> slices;
      const auto first = static_cast<size_t>(random.below(4));
      for (size_t i = 0; i < 4; ++i) {
        const size_t s = (first + i) % 4;
        const int32_t left = tokens - runner.sequences()[s].done;
        const int32_t wanted = std::min(left, 1 + random.below(s == 0 ? 1 + tokens / 40 : 150));
        if (left > 0 && random.below(4) > 0) slices.emplace_back(s, wanted);
      }
      if (slices.empty()) continue;
      const std::vector<float> step = runner.step(slices);
      int32_t row = 0;
      for (const auto& [s, count] : slices) {
        runner.append(results[s], step, row, count);
        row += count;
      }
    }
    for (const std::vector<float>& result : results) EXPECT_TRUE(same(result, expected, runner.row_floats()));
  }
}

TEST_P(CpuAttention, WhatLiesPastAPositionDoesNotReachIt) {
  // A page may hold finite or infinite leftovers past the last token: rejected drafts, later tokens of the same step.
  const Shape shape{.kv_heads = 1, .group = 2, .key_width = 32, .value_width = 32, .tokens = 40};
  Rows rows(shape);
  const std::vector<float> expected = Runner(shape, rows, *GetParam(), 1).run(40);
  Rows poisoned = rows;
  for (size_t i = 30 * 32; i < poisoned.v.size(); ++i) poisoned.k[i] = poisoned.v[i] = 1e9F;  // infinite as a half
  Runner runner(shape, poisoned, *GetParam(), 1);
  std::vector<float> result = runner.run(40);
  result.resize(static_cast<size_t>(30 * runner.row_floats()));
  EXPECT_TRUE(same(result, {expected.begin(), expected.begin() + 30 * runner.row_floats()}, runner.row_floats()));
}

TEST(CpuAttentionSets, GiveTheSameBits) {
  const Shape shape{.kv_heads = 2, .group = 3, .key_width = 80, .value_width = 80, .tokens = 200};
  const Rows rows(shape);
  const std::vector<const KernelTable*> tables = available_tables();
  const std::vector<float> expected = Runner(shape, rows, *tables.front(), 1).run(64);
  for (const KernelTable* table : tables) {
    Runner runner(shape, rows, *table, 2);
    EXPECT_TRUE(same(runner.run(200), expected, runner.row_floats())) << name(table->instruction_set);
  }
}

}  // namespace
}  // namespace megalith::cpu
