#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/cost.h"
#include "ops/counting.h"
#include "ops/synthetic.h"

namespace megalith {
namespace {

const CostMeter::Line* find(const CostMeter& meter, std::string_view op) {
  for (const CostMeter::Line& line : meter.lines()) {
    if (line.op == op) return &line;
  }
  return nullptr;
}

TEST(Counting, FollowsShapesAndAddsCosts) {
  testing::SyntheticWeights weights(1);
  const auto ops = make_counting_ops();
  const Weight table = ops->adopt(weights.matrix("table", 10, 64, Format::kQ8_0, 1));
  const Weight qkv = ops->adopt(weights.matrix("q", 96, 64, Format::kQ4_0, 1));
  ops->allocate_state({.layers = {{.kv_heads = 1, .key_width = 32, .value_width = 16}}, .kv_type = KvType::kF16}, 2);
  testing::TestSequence sequence{.tokens = {1, 2, 3, 4, 5}, .done = 2, .pages = {0}};
  Batch batch;
  testing::add_slice(batch, sequence, 3);
  CostMeter meter;
  ops->begin_step(batch, &meter);
  const Tensor x = ops->embed(table);
  EXPECT_EQ(x.rows, 3);
  EXPECT_EQ(x.columns, 64);
  const Tensor q = ops->linear_one(x, qkv);
  EXPECT_EQ(q.columns, 96);
  const Tensor attended = ops->attention(q, q, q, {.layer = 0, .heads = 3, .scale = 1});
  EXPECT_EQ(attended.columns, 48);
  const std::vector<int32_t> last{2};
  EXPECT_EQ(ops->gather_rows(attended, last).rows, 1);
  ops->end_step();

  EXPECT_EQ(find(meter, "embed")->cost.weight_bytes, 3 * 64 / 32 * 34);
  EXPECT_EQ(find(meter, "linear")->cost.weight_bytes, 96 * 64 / 32 * 18);
  EXPECT_EQ(find(meter, "linear")->cost.multiply_adds, 3 * 96 * 64);
  // Positions 2, 3 and 4 see 3 + 4 + 5 positions, with 3 heads; 5 positions are read and 3 written.
  EXPECT_EQ(find(meter, "attention")->cost.multiply_adds, 12 * 3 * (32 + 16));
  EXPECT_EQ(find(meter, "attention")->cost.state_bytes, (5 + 3) * (32 + 16) * 2);
  EXPECT_EQ(meter.total().weight_bytes, 3 * 68 + 96 * 36);
}

TEST(Counting, AttentionSeesItsWindowAndReadsValuesInKeysOnce) {
  const auto cost_of = [](int32_t window, PagedKv::Values values) {
    const PagedKv layer{.kv_heads = 1, .key_width = 32, .value_width = 16, .window = window, .values = values};
    testing::TestSequence sequence{.tokens = std::vector<int32_t>(10), .done = 5, .pages = {0}};
    Batch batch;
    testing::add_slice(batch, sequence, 4);
    return cost::attention(layer, 3, batch);
  };
  const auto own = PagedKv::Values::kOwn;
  // Positions 5 to 8: each sees 4; positions 2 to 8 are read, four written.
  EXPECT_EQ(cost_of(4, own).multiply_adds, 4 * 4 * 3 * (32 + 16));
  EXPECT_EQ(cost_of(4, own).state_bytes, (7 + 4) * (32 + 16) * 2);
  // 6, 7, 7, 7 of them; position 0 is still seen.
  EXPECT_EQ(cost_of(7, own).multiply_adds, 27 * 3 * (32 + 16));
  EXPECT_EQ(cost_of(7, own).state_bytes, (9 + 4) * (32 + 16) * 2);
  EXPECT_EQ(cost_of(100, own).multiply_adds, cost_of(0, own).multiply_adds);
  EXPECT_EQ(cost_of(100, own).state_bytes, cost_of(0, own).state_bytes);
  EXPECT_EQ(cost_of(0, PagedKv::Values::kPrefixOfKey).multiply_adds, cost_of(0, own).multiply_adds);
  EXPECT_EQ(cost_of(0, PagedKv::Values::kPrefixOfKey).state_bytes, (9 + 4) * 32 * 2);
}

TEST(Counting, HasNoValues) {
  const auto ops = make_counting_ops();
  EXPECT_THROW(ops->read({}), Error);
}

TEST(StateLayout, PageBytes) {
  const StateLayout layout{.layers = {{.kv_heads = 3, .key_width = 64, .value_width = 64},
                                      {.kv_heads = 1, .key_width = 32, .value_width = 16}},
                           .kv_type = KvType::kF16};
  EXPECT_EQ(layout.page_bytes(), 64U * 2 * (3 * 128 + 48));
}

}  // namespace
}  // namespace megalith
