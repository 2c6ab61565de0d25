// The two numerics of the reference against formulas in double, with bounds that follow from the roundings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "base/error.h"
#include "base/half.h"
#include "ops/reference.h"
#include "ops/synthetic.h"

namespace megalith {
namespace {

using testing::Random;
using testing::SyntheticWeights;
using testing::TestSequence;

constexpr double kUnit = 0x1p-24;  // of one float32 rounding
constexpr uint64_t kPlenty = uint64_t{1} << 40;

class Reference : public ::testing::TestWithParam<ReferenceNumerics> {
 protected:
  bool exact() const { return GetParam() == ReferenceNumerics::kExact; }
  /// Begins a step whose `embed` gives these rows.
  Tensor begin(const std::vector<float>& rows, int64_t columns) {
    const auto n = static_cast<int64_t>(rows.size()) / columns;
    const Weight table =
        ops_->adopt(weights_.encode("rows " + std::to_string(n_tables_++), {n, columns}, rows, Format::kF32));
    batch_ = {};
    sequence_ = {};
    for (int32_t i = 0; i < n; ++i) sequence_.tokens.push_back(i);
    sequence_.pages = {0};
    testing::add_slice(batch_, sequence_, static_cast<int32_t>(n));
    ops_->begin_step(batch_, nullptr);
    return ops_->embed(table);
  }

  Ledger ledger_{kPlenty};
  SyntheticWeights weights_{11};
  std::unique_ptr<Ops> ops_ = make_reference_ops(ledger_, GetParam());
  Batch batch_;
  TestSequence sequence_;
  int n_tables_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Numerics, Reference,
                         ::testing::Values(ReferenceNumerics::kContract, ReferenceNumerics::kExact),
                         [](const auto& tested) {
                           return tested.param == ReferenceNumerics::kContract ? "contract" : "exact";
                         });

TEST_P(Reference, LinearOfEveryFormat) {
  constexpr int64_t kColumns = 512;
  constexpr int64_t kRows = 8;
  constexpr int64_t kTokens = 3;
  Random random(5);
  const std::vector<float> rows = random.vector(kTokens * kColumns, 2.0F);
  for (const FormatInfo& info : format_table()) {
    const NamedWeight weight = weights_.matrix(std::string(info.name), kRows, kColumns, info.format, 0.5F);
    const NamedWeight bias = weights_.vector(std::string(info.name) + " bias", kRows, 0.0F, 1.0F);
    const Tensor x = begin(rows, kColumns);
    const Tensor y = ops_->linear_one(x, ops_->adopt(weight), ops_->adopt(bias));
    const std::span<const float> values = ops_->read(y);
    std::vector<float> decoded(kColumns);
    std::vector<float> biases(kRows);
    format_info(Format::kF32).decode(bias.view, 0, 0, biases);
    for (int64_t n = 0; n < kRows; ++n) {
      info.decode(weight.view, n, 0, decoded);
      for (int64_t t = 0; t < kTokens; ++t) {
        double sum = 0;
        double magnitude = 0;
        double quantisation = 0;
        for (int64_t k = 0; k < kColumns; ++k) {
          const double product = double{decoded[k]} * rows[t * kColumns + k];
          sum += product;
          magnitude += std::fabs(product);
          // Half a step of the activation's group, whose largest value is at most 2.
          quantisation += std::fabs(decoded[k]) * 2.0 / 254;
        }
        const double expected = sum + biases[n];
        double bound = kUnit * std::fabs(expected) * 1.01;
        if (!exact()) {
          // A float weight meets 16 fused multiply-adds, 5 additions and the bias. Quantised: 3 roundings for each
          // group's terms (their offset can be far larger than the weights), and one for each of 2 x 16 additions.
          const double roundings = info.quantised() ? 40 : 22;
          bound = roundings * kUnit * (info.has_offset ? 20 : 2) * magnitude + (info.quantised() ? quantisation : 0) +
                  2 * kUnit * std::fabs(expected);
        }
        EXPECT_NEAR(values[t * kRows + n], expected, bound) << info.name << " row " << n << " token " << t;
      }
    }
    ops_->end_step();
  }
}

TEST_P(Reference, RmsNormOfHeads) {
  constexpr int64_t kWidth = 48;
  Random random(6);
  const std::vector<float> rows = random.vector(2 * 2 * kWidth, 3.0F);
  const NamedWeight gain = weights_.vector("gain", kWidth, 1.0F, 0.5F);
  const Tensor y = ops_->rms_norm(begin(rows, 2 * kWidth), ops_->adopt(gain), 1e-5F);
  const std::span<const float> values = ops_->read(y);
  std::vector<float> gains(kWidth);
  format_info(Format::kF32).decode(gain.view, 0, 0, gains);
  for (size_t i = 0; i < rows.size(); ++i) {
    double squares = 0;
    for (size_t k = 0; k < kWidth; ++k) squares += std::pow(rows[i / kWidth * kWidth + k], 2);
    const double expected = rows[i] / std::sqrt(squares / kWidth + 1e-5F) * gains[i % kWidth];
    // Sum 2 + 5, mean 1, epsilon 1, halved by the root; root, inverse and two products.
    const double roundings = exact() ? 1.01 : 9 / 2.0 + 4;
    EXPECT_NEAR(values[i], expected, roundings * kUnit * std::fabs(expected)) << i;
  }
}

TEST_P(Reference, RopeOfBothStyles) {
  constexpr int32_t kHead = 12;  // of which 8 rotate
  Random random(7);
  const std::vector<float> rows = random.vector(3 * 2 * kHead, 1.0F);
  for (const RopeStyle style : {RopeStyle::kHalves, RopeStyle::kInterleaved}) {
    const Rope rope{
        .style = style, .head_width = kHead, .inverse_frequencies = {1.0F, 0.3F, 0.01F, 0.001F}, .magnitude = 1.25F};
    const Tensor y = ops_->rope(begin(rows, 2 * kHead), rope);
    const std::span<const float> values = ops_->read(y);
    for (size_t row = 0; row < 3; ++row) {
      for (size_t head = 0; head < 2; ++head) {
        const size_t start = (row * 2 + head) * kHead;
        for (size_t i = 0; i < 4; ++i) {
          const size_t first = start + (style == RopeStyle::kHalves ? i : 2 * i);
          const size_t second = start + (style == RopeStyle::kHalves ? i + 4 : 2 * i + 1);
          const auto angle = static_cast<double>(static_cast<float>(row) * rope.inverse_frequencies[i]);
          const double c = std::cos(angle) * 1.25;
          const double s = std::sin(angle) * 1.25;
          // Sine, magnitude, product and sum.
          const double bound = 4 * kUnit * 1.25 * (std::fabs(rows[first]) + std::fabs(rows[second]));
          EXPECT_NEAR(values[first], rows[first] * c - rows[second] * s, bound);
          EXPECT_NEAR(values[second], rows[second] * c + rows[first] * s, bound);
        }
        for (size_t i = 8; i < kHead; ++i) EXPECT_EQ(values[start + i], rows[start + i]);
      }
    }
  }
}

TEST_P(Reference, GatedMlp) {
  constexpr int64_t kHidden = 64;
  constexpr int64_t kIntermediate = 96;
  Random random(8);
  const std::vector<float> rows = random.vector(2 * kHidden, 1.0F);
  const NamedWeight gate = weights_.matrix("gate", kIntermediate, kHidden, Format::kF32, 0.5F);
  const NamedWeight up = weights_.matrix("up", kIntermediate, kHidden, Format::kF32, 0.5F);
  const NamedWeight down = weights_.matrix("down", kHidden, kIntermediate, Format::kF32, 0.5F);
  const auto at = [](const NamedWeight& weight, int64_t row, int64_t column) {
    float value = 0;
    format_info(Format::kF32).decode(weight.view, row, column, {&value, 1});
    return static_cast<double>(value);
  };
  for (const Activation activation : {Activation::kSilu, Activation::kGeluTanh}) {
    const Tensor x = begin(rows, kHidden);
    const GatedMlp mlp{.gate = ops_->adopt(gate),
                       .up = ops_->adopt(up),
                       .down = ops_->adopt(down),
                       .activation = activation,
                       .gate_bias = {},
                       .up_bias = {},
                       .down_bias = {}};
    const Tensor y = ops_->gated_mlp(x, mlp);
    for (int64_t t = 0; t < 2; ++t) {
      std::vector<double> middle(kIntermediate);
      double magnitude = 0;  // bounds every |x| + |x|^3 that rounding errors scale with
      for (int64_t n = 0; n < kIntermediate; ++n) {
        double g = 0;
        double u = 0;
        for (int64_t k = 0; k < kHidden; ++k) {
          g += at(gate, n, k) * rows[t * kHidden + k];
          u += at(up, n, k) * rows[t * kHidden + k];
        }
        const double tanh_argument = std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g);
        const double activated =
            activation == Activation::kSilu ? g / (1 + std::exp(-g)) : 0.5 * g * (1 + std::tanh(tanh_argument));
        middle[n] = activated * u;
        magnitude = std::max({magnitude, std::fabs(g), std::fabs(u)});
      }
      // Products of 64 terms below 0.5 carry at most 8 roundings of 16; the activation has slope below 1.2; its own
      // error is below 40 ulps (GELU's argument), the product one more.
      const double sum_error = 8 * kUnit * 0.5 * kHidden;
      const double middle_error = 1.2 * 2 * sum_error * magnitude + 41 * 2 * kUnit * magnitude * magnitude;
      for (int64_t n = 0; n < kHidden; ++n) {
        double expected = 0;
        double weights = 0;
        double terms = 0;
        for (int64_t k = 0; k < kIntermediate; ++k) {
          expected += at(down, n, k) * middle[k];
          weights += std::fabs(at(down, n, k));
          terms += std::fabs(at(down, n, k) * middle[k]);
        }
        EXPECT_NEAR(ops_->read(y)[t * kHidden + n], expected, weights * middle_error + 9 * kUnit * terms);
      }
    }
  }
}

struct AttentionCase {
  int32_t window = 0;
  bool sinks = false;
  PagedKv::Values values = PagedKv::Values::kOwn;
};

class ReferenceAttention : public Reference {
 protected:
  void check(const AttentionCase& tested);
};

void ReferenceAttention::check(const AttentionCase& tested) {
  constexpr int32_t kHeads = 4;
  constexpr int32_t kKvHeads = 2;
  constexpr int32_t kKeyWidth = 8;
  constexpr int32_t kValueWidth = 6;
  constexpr int32_t kTokens = 150;  // three chunks
  Random random(9);
  const std::vector<float> q = random.vector(kTokens * kHeads * kKeyWidth, 2.0F);
  std::vector<float> k = random.vector(kTokens * kKvHeads * kKeyWidth, 2.0F);
  std::vector<float> v = random.vector(kTokens * kKvHeads * kValueWidth, 2.0F);
  for (float& value : k) value = half_to_float(float_to_half(value));  // so that the cache loses nothing
  for (float& value : v) value = half_to_float(float_to_half(value));
  const Weight q_table = ops_->adopt(weights_.encode("q", {kTokens, kHeads * kKeyWidth}, q, Format::kF32));
  const Weight k_table = ops_->adopt(weights_.encode("k", {kTokens, kKvHeads * kKeyWidth}, k, Format::kF32));
  const Weight v_table = ops_->adopt(weights_.encode("v", {kTokens, kKvHeads * kValueWidth}, v, Format::kF32));
  const std::vector<float> sinks{-3.0F, 0.0F, 2.0F, 9.0F};
  const Weight sinks_table = ops_->adopt(weights_.encode("sinks", {kHeads}, sinks, Format::kF32));
  const bool in_keys = tested.values == PagedKv::Values::kPrefixOfKey;
  ops_->allocate_state({.layers = {{.kv_heads = 1, .key_width = 4, .value_width = 4},
                                   {.kv_heads = kKvHeads,
                                    .key_width = kKeyWidth,
                                    .value_width = kValueWidth,
                                    .window = tested.window,
                                    .values = tested.values}},
                        .kv_type = KvType::kF16},
                       4);
  TestSequence sequence;
  sequence.pages = {2, 0, 3};
  for (const PageId page : sequence.pages) ops_->clear_page(page);
  for (int32_t i = 0; i < kTokens; ++i) sequence.tokens.push_back(i);
  constexpr float kScale = 0.35F;
  std::vector<float> results;
  for (const int32_t count : {1, 70, 79}) {
    Batch batch;
    testing::add_slice(batch, sequence, count);
    ops_->begin_step(batch, nullptr);
    const Tensor y =
        ops_->attention(ops_->embed(q_table), ops_->embed(k_table), in_keys ? Tensor() : ops_->embed(v_table),
                        {.layer = 1, .heads = kHeads, .scale = kScale, .sinks = tested.sinks ? sinks_table : Weight()});
    const std::span<const float> values = ops_->read(y);
    results.insert(results.end(), values.begin(), values.end());
    ops_->end_step();
    sequence.done += count;
  }
  // A score is off by (width + 1) roundings of |q| |k| scale <= 2 * 2 * 0.35 * width, so its weight by that much, and
  // by 2 ulps of exp; sums, merges and division add fewer than 100 roundings.
  const double score_error = (kKeyWidth + 1) * kUnit * 4 * kScale * kKeyWidth;
  const double bound = 2.0 * (2 * (score_error + 4 * kUnit) + 100 * kUnit);
  for (int32_t t = 0; t < kTokens; ++t) {
    for (int32_t head = 0; head < kHeads; ++head) {
      const int32_t kv_head = head / 2;
      std::vector<double> weights;
      double sum = tested.sinks ? std::exp(double{sinks[head]}) : 0.0;
      const int32_t first = tested.window > 0 ? std::max(0, t - tested.window + 1) : 0;
      for (int32_t p = first; p <= t; ++p) {
        double score = 0;
        for (int32_t d = 0; d < kKeyWidth; ++d) {
          score += double{q[(t * kHeads + head) * kKeyWidth + d]} * k[(p * kKvHeads + kv_head) * kKeyWidth + d];
        }
        sum += weights.emplace_back(std::exp(score * kScale));
      }
      for (int32_t d = 0; d < kValueWidth; ++d) {
        double expected = 0;
        for (int32_t p = first; p <= t; ++p) {
          const size_t row = p * kKvHeads + kv_head;
          expected += weights[p - first] / sum * (in_keys ? k[row * kKeyWidth + d] : v[row * kValueWidth + d]);
        }
        ASSERT_NEAR(results[(t * kHeads + head) * kValueWidth + d], expected, bound) << t << " " << head << " " << d;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Numerics, ReferenceAttention,
                         ::testing::Values(ReferenceNumerics::kContract, ReferenceNumerics::kExact),
                         [](const auto& tested) {
                           return tested.param == ReferenceNumerics::kContract ? "contract" : "exact";
                         });

TEST_P(ReferenceAttention, OfGroupedHeads) { check({}); }
TEST_P(ReferenceAttention, WithinAWindow) { check({.window = 70}); }
TEST_P(ReferenceAttention, WithSinks) { check({.sinks = true}); }
TEST_P(ReferenceAttention, OfValuesThatArePrefixesOfKeys) { check({.values = PagedKv::Values::kPrefixOfKey}); }
TEST_P(ReferenceAttention, WithAllOfThese) {
  check({.window = 33, .sinks = true, .values = PagedKv::Values::kPrefixOfKey});
}

TEST_P(Reference, PagesAreSavedRestoredAndCopied) {
  const StateLayout layout{.layers = {{.kv_heads = 1, .key_width = 32, .value_width = 32}}, .kv_type = KvType::kF16};
  Random random(10);
  const Weight table = ops_->adopt(weights_.encode("t", {4, 32}, random.vector(4 * 32, 1.0F), Format::kF32));
  ops_->allocate_state(layout, 3);
  const auto attend = [&](PageId page, int32_t done) {
    TestSequence sequence{.tokens = {0, 1, 2, 3}, .done = done, .pages = {page}};
    Batch batch;
    testing::add_slice(batch, sequence, 4 - done);
    ops_->begin_step(batch, nullptr);
    const Tensor x = ops_->embed(table);
    const Tensor y = ops_->attention(x, x, x, {.layer = 0, .heads = 1, .scale = 0.2F});
    const std::span<const float> values = ops_->read(y);
    return std::vector<float>(values.end() - 32, values.end());
  };
  ops_->clear_page(0);
  const std::vector<float> expected = attend(0, 0);
  ops_->copy_page(0, 1);
  std::vector<std::byte> saved(layout.page_bytes() * (exact() ? 2 : 1));
  ops_->save_page(0, saved);
  ops_->clear_page(0);
  ops_->restore_page(2, saved);
  EXPECT_EQ(attend(1, 3), expected);
  EXPECT_EQ(attend(2, 3), expected);
  EXPECT_NE(attend(0, 3), expected);
  saved.pop_back();
  EXPECT_THROW(ops_->restore_page(2, saved), Error);
}

TEST_P(Reference, NonFiniteActivationsNameTheWeight) {
  std::vector<float> rows(64, 1.0F);
  const Weight weight = ops_->adopt(weights_.matrix("blk.3.ffn_down.weight", 8, 32, Format::kQ8_0, 1.0F));
  begin(rows, 32);
  ops_->end_step();
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    rows[40] = bad;
    const Tensor x = begin(rows, 32);
    ops_->linear_one(x, weight);
    try {
      ops_->end_step();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kRuntime);
      EXPECT_NE(std::string(error.what()).find("blk.3.ffn_down.weight"), std::string::npos);
    }
  }
}

TEST_P(Reference, RefusesStateThatDoesNotFit) {
  Ledger small(1000);
  const auto ops = make_reference_ops(small, GetParam());
  try {
    ops->allocate_state({.layers = {{.kv_heads = 1, .key_width = 64, .value_width = 64}}, .kv_type = KvType::kF16}, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
  }
}

}  // namespace
}  // namespace megalith
