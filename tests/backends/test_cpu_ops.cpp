// The CPU backend as a whole against the reference: a small transformer layer, bit for bit.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <numeric>

#include "available.h"
#include "backends/cpu/cpu_ops.h"
#include "base/error.h"
#include "ops/reference.h"
#include "ops/synthetic.h"

namespace megalith::cpu {
namespace {

using testing::SyntheticWeights;
using testing::TestSequence;

constexpr uint64_t kPlenty = uint64_t{1} << 40;
constexpr int32_t kVocabulary = 56;

struct LayerShape {
  int32_t hidden = 256;
  int32_t heads = 4;
  int32_t kv_heads = 2;
  int32_t head_width = 64;
  int32_t intermediate = 512;
  Format format = Format::kQ4_K;
  Format second_format = Format::kQ6_K;
  RopeStyle style = RopeStyle::kHalves;
  Activation activation = Activation::kSilu;
};

/// The weights of a layer, an embedding and a head.
struct LayerWeights {
  explicit LayerWeights(const LayerShape& s) : weights(3) {
    const int64_t q = s.heads * s.head_width;
    const int64_t kv = s.kv_heads * s.head_width;
    for (const auto& [weight_name, rows, columns, format] :
         {std::tuple<std::string, int64_t, int64_t, Format>{"embedding", kVocabulary, s.hidden, s.second_format},
          {"q", q, s.hidden, s.format},
          {"k", kv, s.hidden, s.format},
          {"v", kv, s.hidden, s.second_format},
          {"o", s.hidden, q, s.format},
          {"gate", s.intermediate, s.hidden, s.format},
          {"up", s.intermediate, s.hidden, s.format},
          {"down", s.hidden, s.intermediate, s.second_format},
          {"head", kVocabulary, s.hidden, s.second_format}}) {
      named.push_back(weights.matrix(weight_name, rows, columns, format, 0.2F));
    }
    named.push_back(weights.vector("norm", s.hidden, 1.0F, 0.3F));
    named.push_back(weights.vector("head norm", s.head_width, 1.0F, 0.3F));
    named.push_back(weights.vector("q bias", q, 0.0F, 0.5F));
    named.push_back(weights.vector("k bias", kv, 0.0F, 0.5F));
    named.push_back(weights.vector("v bias", kv, 0.0F, 0.5F));
  }
  const NamedWeight& find(std::string_view weight_name) const {
    for (const NamedWeight& weight : named) {
      if (weight.name == weight_name) return weight;
    }
    throw std::logic_error("no such weight");
  }
  SyntheticWeights weights;
  std::vector<NamedWeight> named;
};

/// A model of one layer, used twice, on some Ops.
class TinyModel {
 public:
  TinyModel(const LayerShape& shape, const LayerWeights& weights, std::unique_ptr<Ops> ops)
      : shape_(shape), weights_(weights), ops_(std::move(ops)) {
    const PagedKv kv{.kv_heads = shape.kv_heads, .key_width = shape.head_width, .value_width = shape.head_width};
    layout_ = {.layers = {kv, kv}, .kv_type = KvType::kF16};
    ops_->allocate_state(layout_, 8);
    rope_ = {.style = shape.style, .head_width = shape.head_width, .inverse_frequencies = {}, .magnitude = 1.0F};
    for (int32_t i = 0; i < shape.head_width / 2; ++i) {
      rope_.inverse_frequencies.push_back(1.0F / static_cast<float>(1 + 7 * i));
    }
  }

  /// The logits of all tokens of the batch.
  std::vector<float> step(const Batch& batch, CostMeter* meter = nullptr) {
    ops_->begin_step(batch, meter);
    Tensor x = ops_->embed(weight("embedding"));
    for (const int32_t layer : {0, 1}) {
      const Tensor normed = ops_->rms_norm(x, weight("norm"), 1e-5F);
      const Linear projections[] = {
          {weight("q"), weight("q bias")}, {weight("k"), weight("k bias")}, {weight("v"), weight("v bias")}};
      const std::vector<Tensor> qkv = ops_->linear(normed, projections);
      const Tensor q = ops_->rope(ops_->rms_norm(qkv[0], weight("head norm"), 1e-5F), rope_);
      const Tensor k = ops_->rope(qkv[1], rope_);
      const Tensor attended = ops_->attention(q, k, qkv[2], {.layer = layer, .heads = shape_.heads, .scale = 0.125F});
      x = ops_->add(x, ops_->linear_one(attended, weight("o")));
      x = ops_->add(x, ops_->gated_mlp(ops_->rms_norm(x, weight("norm"), 1e-5F), {.gate = weight("gate"),
                                                                                  .up = weight("up"),
                                                                                  .down = weight("down"),
                                                                                  .activation = shape_.activation,
                                                                                  .gate_bias = {},
                                                                                  .up_bias = {},
                                                                                  .down_bias = {}}));
    }
    std::vector<int32_t> rows(batch.tokens.size());
    std::iota(rows.begin(), rows.end(), 0);
    const Tensor gathered = ops_->gather_rows(x, rows);
    const Tensor logits = ops_->logits(ops_->rms_norm(gathered, weight("norm"), 1e-5F), weight("head"));
    ops_->end_step();
    const std::span<const float> values = ops_->read(logits);
    return {values.begin(), values.end()};
  }

  Ops& ops() { return *ops_; }
  const StateLayout& layout() const { return layout_; }

 private:
  Weight weight(std::string_view weight_name) { return ops_->adopt(weights_.find(weight_name)); }

  LayerShape shape_;
  const LayerWeights& weights_;
  std::unique_ptr<Ops> ops_;
  StateLayout layout_;
  Rope rope_;
};

/// Two sequences, in steps that mix a prompt's chunk with single tokens.
std::vector<float> run_two_sequences(TinyModel& model) {
  TestSequence one{.tokens = {}, .done = 0, .pages = {3, 0}};
  TestSequence other{.tokens = {}, .done = 0, .pages = {1, 5}};
  for (int32_t i = 0; i < 90; ++i) {
    one.tokens.push_back(i * 7 % kVocabulary);
    other.tokens.push_back(i * 11 % kVocabulary);
  }
  for (const PageId page : {0, 1, 3, 5}) model.ops().clear_page(page);
  std::vector<float> results;
  for (const auto& [count, other_count] : std::vector<std::pair<int32_t, int32_t>>{{20, 0}, {1, 50}, {40, 1}, {1, 1}}) {
    Batch batch;
    testing::add_slice(batch, one, count);
    if (other_count > 0) testing::add_slice(batch, other, other_count);
    one.done += count;
    other.done += other_count;
    const std::vector<float> logits = model.step(batch);
    results.insert(results.end(), logits.begin(), logits.end());
  }
  return results;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<LayerShape> layer_shapes() {
  std::vector<LayerShape> shapes(1);
  shapes.push_back({.style = RopeStyle::kInterleaved, .activation = Activation::kGeluTanh});
  shapes.push_back({.hidden = 192,
                    .heads = 3,
                    .kv_heads = 1,
                    .intermediate = 384,
                    .format = Format::kQ4_1,
                    .second_format = Format::kQ8_0});
  shapes.push_back({.head_width = 32, .format = Format::kF16, .second_format = Format::kBF16});
  shapes.push_back({.head_width = 80, .format = Format::kQ5_0, .second_format = Format::kF32});
  shapes.push_back({.head_width = 64, .format = Format::kGptq4, .second_format = Format::kMlx4});
  shapes.push_back({.head_width = 64, .format = Format::kFp8Block, .second_format = Format::kGptq8});
  return shapes;
}

class CpuOps : public ::testing::TestWithParam<const KernelTable*> {};

INSTANTIATE_TEST_SUITE_P(Sets, CpuOps, ::testing::ValuesIn(available_tables()), TableName());

TEST(CpuOpsSets, GiveTheReferencesBitsOnAnyNumberOfThreads) {
  for (const LayerShape& shape : layer_shapes()) {
    const LayerWeights weights(shape);
    Ledger ledger(kPlenty);
    TinyModel reference(shape, weights, make_reference_ops(ledger, ReferenceNumerics::kContract));
    const std::vector<float> expected = run_two_sequences(reference);
    for (const KernelTable* table : available_tables()) {
      const std::span kernels(table->linear.formats, static_cast<size_t>(table->linear.n_formats));
      // The scalar set has no kernels at all; plain code is slow and need not run on every number of threads.
      const bool by_codec =
          std::ranges::none_of(kernels, [&shape](const FormatKernel& kernel) { return kernel.format == shape.format; });
      for (const int threads : by_codec ? std::vector{2} : std::vector{1, 2, 3, 4}) {
        TinyModel model(shape, weights, make_ops(ledger, *table, threads));
        EXPECT_TRUE(same_bits(run_two_sequences(model), expected))
            << format_info(shape.format).name << ", " << name(table->instruction_set) << ", " << threads << " threads";
        // The memory of the first run serves the second: stale values must not show.
        if (!by_codec) {
          EXPECT_TRUE(same_bits(run_two_sequences(model), expected));
        }
      }
    }
  }
}

TEST_P(CpuOps, PagesAreSavedRestoredAndCopied) {
  const LayerShape shape;
  const LayerWeights weights(shape);
  Ledger ledger(kPlenty);
  TinyModel model(shape, weights, make_ops(ledger, *GetParam(), 2));
  TestSequence sequence{.tokens = {}, .done = 0, .pages = {2}};
  for (int32_t i = 0; i < 30; ++i) sequence.tokens.push_back(i);
  model.ops().clear_page(2);
  Batch prompt;
  testing::add_slice(prompt, sequence, 29);
  model.step(prompt);
  std::vector<std::byte> saved(model.layout().page_bytes());
  model.ops().save_page(2, saved);
  sequence.done = 29;
  const auto last = [&](PageId page) {
    sequence.pages = {page};
    Batch batch;
    testing::add_slice(batch, sequence, 1);
    return model.step(batch);
  };
  const std::vector<float> expected = last(2);
  model.ops().copy_page(2, 6);
  model.ops().clear_page(2);
  EXPECT_FALSE(same_bits(last(2), expected));
  model.ops().restore_page(4, saved);
  EXPECT_TRUE(same_bits(last(4), expected));
  EXPECT_TRUE(same_bits(last(6), expected));
  saved.pop_back();
  EXPECT_THROW(model.ops().restore_page(4, saved), Error);
  EXPECT_THROW(model.ops().clear_page(8), Error);
}

TEST_P(CpuOps, CostsWhatTheReferenceCosts) {
  const LayerShape shape;
  const LayerWeights weights(shape);
  Ledger ledger(kPlenty);
  CostMeter reference_meter;
  CostMeter meter;
  TinyModel reference(shape, weights, make_reference_ops(ledger, ReferenceNumerics::kContract));
  TinyModel model(shape, weights, make_ops(ledger, *GetParam(), 1));
  Batch batch;
  const TestSequence sequence{.tokens = {1, 2, 3}, .done = 0, .pages = {0}};
  testing::add_slice(batch, sequence, 3);
  reference.ops().clear_page(0);
  model.ops().clear_page(0);
  reference.step(batch, &reference_meter);
  model.step(batch, &meter);
  for (const CostMeter::Line& expected : reference_meter.lines()) {
    const auto line = std::ranges::find(meter.lines(), expected.op, &CostMeter::Line::op);
    ASSERT_NE(line, meter.lines().end()) << expected.op;
    EXPECT_EQ(line->cost.weight_bytes, expected.cost.weight_bytes) << expected.op;
    EXPECT_EQ(line->cost.state_bytes, expected.cost.state_bytes) << expected.op;
    EXPECT_EQ(line->cost.multiply_adds, expected.cost.multiply_adds) << expected.op;
  }
  EXPECT_GT(meter.total().multiply_adds, 0U);
}

TEST_P(CpuOps, NonFiniteActivationsNameTheWeight) {
  SyntheticWeights weights(5);
  Ledger ledger(kPlenty);
  const auto ops = make_ops(ledger, *GetParam(), 2);
  std::vector<float> rows(4 * 64, 1.0F);
  rows[100] = std::numeric_limits<float>::quiet_NaN();
  const Weight table = ops->adopt(weights.encode("rows", {4, 64}, rows, Format::kF32));
  const Weight weight = ops->adopt(weights.matrix("blk.3.ffn_down.weight", 64, 64, Format::kQ4_0, 1.0F));
  const Weight head = ops->adopt(weights.matrix("output.weight", 10, 64, Format::kF32, 1.0F));
  const TestSequence sequence{.tokens = {0, 1, 2, 3}, .done = 0, .pages = {0}};
  Batch batch;
  testing::add_slice(batch, sequence, 4);
  const auto message = [&](const auto& compute) -> std::string {
    ops->begin_step(batch, nullptr);
    compute(ops->embed(table));
    try {
      ops->end_step();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kRuntime);
      return error.what();
    }
    return "";
  };
  const auto contains = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  const std::string at_weight = message([&](const Tensor& x) {
    ops->linear_one(x, weight);
    ops->logits(x, head);
  });
  EXPECT_TRUE(contains(at_weight, "linear: the activations entering blk.3.ffn_down.weight are not finite"))
      << at_weight;
  const std::string at_logits = message([&](const Tensor& x) { ops->logits(x, head); });
  EXPECT_TRUE(contains(at_logits, "output.weight")) << at_logits;
  const std::vector<int32_t> good{0, 2, 3};
  EXPECT_EQ(message([&](const Tensor& x) { ops->logits(ops->gather_rows(x, good), head); }), "");
}

TEST(CpuOpsMemory, IsReservedFirst) {
  SyntheticWeights weights(6);
  const KernelTable& table = *available_tables().front();
  const StateLayout layout{.layers = {{.kv_heads = 2, .key_width = 64, .value_width = 64}}, .kv_type = KvType::kF16};
  Ledger ledger(uint64_t{64} << 20);
  {
    const auto ops = make_ops(ledger, table, 1);
    const NamedWeight weight = weights.matrix("w", 64, 64, Format::kQ8_0, 1.0F);
    ops->adopt(weight);
    ops->adopt(weight);  // tied
    EXPECT_EQ(ledger.reserved_bytes(), weight.view.bytes());
    try {
      ops->allocate_state(layout, 100'000);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
      EXPECT_NE(std::string(error.what()).find("--ctx"), std::string::npos);
    }
    ops->allocate_state(layout, 10);
    EXPECT_EQ(ledger.report().back().name, "KV pages");
    EXPECT_EQ(ledger.report().back().bytes, 10 * layout.page_bytes());
  }
  EXPECT_EQ(ledger.reserved_bytes(), 0U);
}

TEST(CpuOpsMemory, TensorsWithoutHandlesGiveTheirPlaceBack) {
  SyntheticWeights weights(7);
  Ledger ledger(kPlenty);
  const auto ops = make_ops(ledger, *available_tables().back(), 1);
  const Weight gain = ops->adopt(weights.vector("gain", 1024, 1.0F, 0.1F));
  const Weight table = ops->adopt(weights.matrix("table", 4, 1024, Format::kF32, 1.0F));
  TestSequence sequence;
  sequence.tokens.resize(400, 1);
  sequence.pages = {0};
  Batch batch;
  testing::add_slice(batch, sequence, 400);
  const uint64_t before = ledger.reserved_bytes();
  for (int step = 0; step < 3; ++step) {
    ops->begin_step(batch, nullptr);
    Tensor x = ops->embed(table);
    for (int i = 0; i < 100; ++i) x = ops->rms_norm(x, gain, 1e-5F);
    ops->end_step();
  }
  EXPECT_LT(ledger.reserved_bytes() - before, 3U * 400 * 1024 * 4);
}

}  // namespace
}  // namespace megalith::cpu
