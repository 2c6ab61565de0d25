// Tiny checkpoints against transformers in float32: the same model, computed by somebody else.
#include <gtest/gtest.h>

#include "models/oracle_test.h"

namespace megalith::testing {
namespace {

class EveryCheckpoint : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryCheckpoint, ToleranceCoversTheOracleItself) {
  // The derivation is about float32 arithmetic of this depth: the oracle's distance from its own float64 must obey it,
  // and a bound a thousand times that distance would be no test.
  const Golden golden = read_golden(GetParam());
  EXPECT_GT(float_tolerance(golden), golden.oracle_rounding_error);
  EXPECT_LT(float_tolerance(golden), 1000 * golden.oracle_rounding_error);
}

TEST_P(EveryCheckpoint, ReferenceInExactNumericsAgreesWithTransformers) {
  expect_like_the_oracle(GetParam(), reference_ops(ReferenceNumerics::kExact),
                         float_tolerance(read_golden(GetParam())));
}

INSTANTIATE_TEST_SUITE_P(Tiny, EveryCheckpoint, ::testing::ValuesIn(all_checkpoints()), test_name);

TEST(Properties, AreThoseOfTheFile) {
  const Driver driver(data_path("llama.gguf"), reference_ops(ReferenceNumerics::kExact), 1);
  const ModelProperties& properties = driver.model().properties();
  EXPECT_EQ(properties.architecture, "llama");
  EXPECT_EQ(properties.name, "tiny llama");
  EXPECT_EQ(properties.layers, 2);
  EXPECT_EQ(properties.hidden_width, 64);
  EXPECT_EQ(properties.vocabulary_size, 300);
  EXPECT_EQ(properties.context_tokens, 512);
  // 2 layers of (64 + 32 + 32 + 64) x 64 and 3 x 64 x 96 weights and two norms, the last norm, embedding and head.
  EXPECT_EQ(properties.parameters, 2U * (192 * 64 + 3 * 64 * 96 + 2 * 64) + 64 + 2 * 300 * 64);
  ASSERT_EQ(properties.state.layers.size(), 2U);
  EXPECT_EQ(properties.state.layers[0].kv_heads, 2);
  EXPECT_EQ(properties.state.layers[0].key_width, 16);
  EXPECT_EQ(properties.state.layers[0].value_width, 16);
}

TEST(Properties, TiedEmbeddingsCountOnce) {
  const Driver driver(data_path("llama-linear.gguf"), reference_ops(ReferenceNumerics::kExact), 1);
  EXPECT_EQ(driver.model().properties().parameters, 2U * (192 * 64 + 3 * 64 * 96 + 2 * 64) + 64 + 300 * 64);
}

TEST(Forward, WithoutWantedRowsGivesNoLogitsButKeepsTheState) {
  const Golden golden = read_golden("llama");
  Driver driver(data_path("llama.gguf"), reference_ops(ReferenceNumerics::kExact), kPages);
  Sequence sequence;
  const Work silent{&sequence, std::span(golden.prompt).first(golden.prompt.size() - 1), 0};
  EXPECT_TRUE(driver.step(std::span(&silent, 1)).empty());
  const std::vector<float> last = driver.feed(sequence, std::span(golden.prompt).last(1), 1, 1);
  const std::vector<float> expected(golden.logits.end() - static_cast<ptrdiff_t>(golden.vocabulary),
                                    golden.logits.end());
  EXPECT_LE(largest_difference(last, expected), float_tolerance(golden));
}

}  // namespace
}  // namespace megalith::testing
