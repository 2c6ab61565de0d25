// Recurrent ops and mixtures of experts on the reference: formulas in double, state that can be rolled back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "ops/gated_delta.h"
#include "ops/hybrid_layer.h"
#include "ops/reference.h"
#include "ops/routing.h"

namespace megalith {
namespace {

using testing::HybridLayer;
using testing::Random;

constexpr double kUnit = 0x1p-24;

TEST(Log1pFloat, IsWithinOneUlpFromZeroToOne) {
  double worst = 0;
  for (int i = 1; i <= 4096; ++i) {
    const float x = static_cast<float>(i) / 4096.0F;
    worst = std::max(worst, testing::ulps(log1p_float(x), std::log1p(double{x})));
    const float small = x * 0x1p-20F;
    worst = std::max(worst, testing::ulps(log1p_float(small), std::log1p(double{small})));
  }
  EXPECT_LE(worst, 0.51);
  EXPECT_EQ(log1p_float(0.0F), 0.0F);
}

TEST(Softplus, FollowsItsFormulaOnBothSides) {
  for (float x = -80.0F; x <= 80.0F; x += 0.37F) {
    const double exact = std::max(double{x}, 0.0) + std::log1p(std::exp(-std::fabs(double{x})));
    EXPECT_NEAR(softplus<ContractMath>(x), exact, 4 * kUnit * exact) << x;
  }
}

// ---- Routing
// ----------------------------------------------------------------------------------------------------------

Router router_of(Router::Score score, int32_t chosen) {
  Router router;
  router.score = score;
  router.chosen = chosen;
  return router;
}

TEST(Route, SoftmaxOverAllRanksAndNormalises) {
  const std::vector<float> raw{0.5F, 2.0F, -1.0F, 1.0F};
  Router router = router_of(Router::Score::kSoftmax, 2);
  const double sum = std::exp(0.5) + std::exp(2.0) + std::exp(-1.0) + std::exp(1.0);
  const std::vector<Choice> plain = route<ContractMath>(router, raw, nullptr);
  ASSERT_EQ(plain.size(), 2U);
  EXPECT_EQ(plain[0].expert, 1);
  EXPECT_EQ(plain[1].expert, 3);
  EXPECT_NEAR(plain[0].weight, std::exp(2.0) / sum, 8 * kUnit);
  EXPECT_NEAR(plain[1].weight, std::exp(1.0) / sum, 8 * kUnit);
  router.normalise = Router::Normalise::kYes;
  router.scale = 3.0F;
  const std::vector<Choice> normalised = route<ExactMath>(router, raw, nullptr);
  EXPECT_NEAR(normalised[0].weight, 3 * std::exp(2.0) / (std::exp(2.0) + std::exp(1.0)), 4 * kUnit);
}

TEST(Route, SoftmaxOfChosenUsesTheRawScores) {
  const std::vector<float> raw{0.5F, 2.0F, -1.0F, 1.0F};
  const std::vector<Choice> choices = route<ContractMath>(router_of(Router::Score::kSoftmaxOfChosen, 2), raw, nullptr);
  EXPECT_NEAR(choices[0].weight, 1.0 / (1.0 + std::exp(-1.0)), 8 * kUnit);
  EXPECT_NEAR(choices[0].weight + choices[1].weight, 1.0, 4 * kUnit);
}

TEST(Route, TiesGoToTheLowerIndexAndNanIsLast) {
  const std::vector<float> raw{1.0F, std::numeric_limits<float>::quiet_NaN(), 1.0F, 1.0F};
  const std::vector<Choice> choices = route<ContractMath>(router_of(Router::Score::kSigmoid, 4), raw, nullptr);
  std::vector<int32_t> order;
  for (const Choice& choice : choices) order.push_back(choice.expert);
  EXPECT_EQ(order, (std::vector<int32_t>{0, 2, 3, 1}));
}

TEST(Route, SelectionBiasChoosesButDoesNotWeigh) {
  const std::vector<float> raw{0.0F, 1.0F, -1.0F};
  const std::vector<float> bias{0.0F, 0.0F, 10.0F};
  const std::vector<Choice> choices = route<ContractMath>(router_of(Router::Score::kSigmoid, 1), raw, bias.data());
  EXPECT_EQ(choices[0].expert, 2);
  EXPECT_NEAR(choices[0].weight, 1.0 / (1.0 + std::exp(1.0)), 8 * kUnit);
}

TEST(Route, OnlyTheBestGroupsAreOpen) {
  // Groups by their two best: {3 + 0}, {2 + 2}, {1 + 1}, {2.5 + -9}: the first and the second stay open.
  const std::vector<float> raw{3.0F, 0.0F, -4.0F, 2.0F, 2.0F, -4.0F, 1.0F, 1.0F, 1.0F, 2.5F, -9.0F, -9.0F};
  Router router = router_of(Router::Score::kSoftmaxOfChosen, 4);
  router.groups = 4;
  router.chosen_groups = 2;
  std::vector<int32_t> chosen;
  for (const Choice& choice : route<ContractMath>(router, raw, nullptr)) chosen.push_back(choice.expert);
  EXPECT_EQ(chosen, (std::vector<int32_t>{0, 3, 4, 1}));
}

// ---- Recurrent state ------------------------------------------------------------------------------------------------

TEST(GatedDeltaRule, IsItsFormula) {
  constexpr int64_t kKeys = 5;
  constexpr int64_t kValues = 3;
  constexpr int64_t kTokens = 6;
  Random random(4);
  const auto key = random.vector(kTokens * kKeys, 0.5F);
  const auto query = random.vector(kTokens * kKeys, 0.5F);
  const auto value = random.vector(kTokens * kValues, 1.0F);
  const auto a = random.vector(kTokens, 2.0F);
  const auto b = random.vector(kTokens, 2.0F);
  std::vector<float> state(kKeys * kValues, 0.0F);
  std::vector<float> out(kTokens * kValues);
  gated_delta<ContractMath>({.query = query.data(),
                             .key = key.data(),
                             .value = value.data(),
                             .a = a.data(),
                             .b = b.data(),
                             .out = out.data(),
                             .state = state.data(),
                             .key_stride = kKeys,
                             .value_stride = kValues,
                             .gate_stride = 1,
                             .n_tokens = kTokens,
                             .key_width = kKeys,
                             .value_width = kValues,
                             .decay_rate = 0.3F,
                             .time_bias = -0.2F,
                             .scale = 0.5F,
                             .decay = GatedDelta::Decay::kLog});
  std::vector<double> s(kKeys * kValues, 0.0);
  for (int64_t t = 0; t < kTokens; ++t) {
    const double decay = std::exp(-std::exp(double{0.3F}) * std::log1p(std::exp(double{a[t]} - double{0.2F})));
    const double beta = 1.0 / (1.0 + std::exp(-double{b[t]}));
    for (double& entry : s) entry *= decay;
    for (int64_t j = 0; j < kValues; ++j) {
      double predicted = 0;
      for (int64_t i = 0; i < kKeys; ++i) predicted += s[i * kValues + j] * key[t * kKeys + i];
      const double change = beta * (value[t * kValues + j] - predicted);
      double expected = 0;
      for (int64_t i = 0; i < kKeys; ++i) {
        s[i * kValues + j] += key[t * kKeys + i] * change;
        expected += s[i * kValues + j] * query[t * kKeys + i] * 0.5;
      }
      // Values stay below 2; each token adds some 30 roundings to what the earlier ones left.
      EXPECT_NEAR(out[t * kValues + j], expected, 2 * 30 * static_cast<double>(t + 1) * kUnit) << t << " " << j;
    }
  }
}

TEST(GatedDeltaRule, TheTwoFormsOfDecayAgree) {
  const std::vector<float> one{0.7F};
  std::vector<float> outs[2] = {{0.0F, 0.0F}, {0.0F, 0.0F}};
  for (const auto form : {GatedDelta::Decay::kLog, GatedDelta::Decay::kNegativeRate}) {
    const bool is_log = form == GatedDelta::Decay::kLog;
    std::vector<float> state{1.5F};
    gated_delta<ExactMath>({.query = one.data(),
                            .key = one.data(),
                            .value = one.data(),
                            .a = one.data(),
                            .b = one.data(),
                            .out = outs[is_log ? 0 : 1].data(),
                            .state = state.data(),
                            .key_stride = 1,
                            .value_stride = 1,
                            .gate_stride = 1,
                            .n_tokens = 1,
                            .key_width = 1,
                            .value_width = 1,
                            .decay_rate = is_log ? 0.4F : static_cast<float>(-std::exp(double{0.4F})),
                            .time_bias = 0.1F,
                            .scale = 1.0F,
                            .decay = form});
  }
  EXPECT_NEAR(outs[0][0], outs[1][0], 4 * kUnit);
}

class HybridReference : public ::testing::TestWithParam<ReferenceNumerics> {
 protected:
  HybridLayer layer() { return HybridLayer(make_reference_ops(ledger_, GetParam())); }
  Ledger ledger_{uint64_t{1} << 40};
};
INSTANTIATE_TEST_SUITE_P(Numerics, HybridReference,
                         ::testing::Values(ReferenceNumerics::kContract, ReferenceNumerics::kExact),
                         [](const auto& tested) {
                           return tested.param == ReferenceNumerics::kContract ? "contract" : "exact";
                         });

TEST_P(HybridReference, ChunksChangeNoBit) {
  HybridLayer tested = layer();
  const std::vector<float> whole = testing::read_in_chunks(tested, 0, 23, 23);
  EXPECT_TRUE(std::ranges::all_of(whole, [](float value) { return std::isfinite(value); }));
  for (const int32_t chunk : {1, 2, 3, 7}) EXPECT_EQ(testing::read_in_chunks(tested, 1, 23, chunk), whole) << chunk;
}

TEST_P(HybridReference, ARejectedDraftLeavesNoTrace) {
  HybridLayer tested = layer();
  const std::vector<float> never_drafted = testing::read_in_chunks(tested, 0, 20, 20);
  // 12 tokens; then a snapshot, a window of 6 drafted tokens of which 2 are right, and the rest again.
  testing::read_in_chunks(tested, 1, 12, 12);
  tested.ops().copy_slot(1, 2);
  tested.step(testing::hybrid_batch(1, 12, 6, 11));
  tested.ops().copy_slot(2, 1);
  std::vector<float> rest = tested.step(testing::hybrid_batch(1, 12, 2));
  const std::vector<float> after = tested.step(testing::hybrid_batch(1, 14, 6));
  rest.insert(rest.end(), after.begin(), after.end());
  const std::vector<float> expected(never_drafted.begin() + 12 * HybridLayer::kHidden, never_drafted.end());
  EXPECT_EQ(rest, expected);
}

TEST_P(HybridReference, SlotsAreSavedAndRestored) {
  HybridLayer tested = layer();
  testing::read_in_chunks(tested, 0, 9, 9);
  std::vector<std::byte> saved(HybridLayer::layout().slot_bytes());
  tested.ops().save_slot(0, saved);
  const std::vector<float> expected = tested.step(testing::hybrid_batch(0, 9, 4));
  tested.ops().restore_slot(3, saved);
  EXPECT_EQ(tested.step(testing::hybrid_batch(3, 9, 4)), expected);
  tested.ops().clear_slot(3);
  EXPECT_NE(tested.step(testing::hybrid_batch(3, 9, 4)), expected);
  saved.pop_back();
  EXPECT_THROW(tested.ops().save_slot(0, saved), Error);
  EXPECT_THROW(tested.ops().restore_slot(0, saved), Error);
}

TEST(HybridState, SlotBytesCountWhatIsKept) {
  constexpr uint64_t kFloats = uint64_t{HybridLayer::kChannels} * 3 + 4 * 16 * 24;
  EXPECT_EQ(HybridLayer::layout().slot_bytes(), kFloats * sizeof(float));
  EXPECT_EQ(HybridLayer::layout().page_bytes(), 0U);
}

TEST(HybridState, DoesNotFitIsSaid) {
  Ledger small(100'000);
  const auto ops = make_reference_ops(small, ReferenceNumerics::kContract);
  try {
    ops->allocate_slots(HybridLayer::layout(), 1000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
  }
}

}  // namespace
}  // namespace megalith
