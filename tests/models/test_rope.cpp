// Inverse frequencies and magnitudes against transformers, for every scaling.
#include <gtest/gtest.h>

#include <bit>

#include "models/golden.h"
#include "models/rope.h"

namespace megalith::testing {
namespace {

RopeParameters parameters_of(const nlohmann::json& item) {
  const nlohmann::json& rope = item.at("rope");
  const std::string type = rope.at("rope_type");
  RopeParameters parameters;
  parameters.head_width = parameters.rotary_width = item.at("width");
  parameters.base = rope.at("rope_theta");
  parameters.factor = rope.value("factor", 1.0);
  parameters.original_context_tokens = rope.value("original_max_position_embeddings", 0);
  if (type == "linear") parameters.scaling = RopeScaling::kLinear;
  if (type == "llama3") {
    parameters.scaling = RopeScaling::kLlama3;
    parameters.low_frequency_factor = rope.at("low_freq_factor");
    parameters.high_frequency_factor = rope.at("high_freq_factor");
  }
  if (type == "yarn") {
    parameters.scaling = RopeScaling::kYarn;
    parameters.beta_fast = rope.value("beta_fast", 32.0);
    parameters.beta_slow = rope.value("beta_slow", 1.0);
    parameters.magnitude = yarn_magnitude(parameters.factor, rope.value("mscale", 1.0));
    if (rope.contains("mscale_all_dim")) {
      parameters.magnitude /= yarn_magnitude(parameters.factor, rope.at("mscale_all_dim"));
    }
    parameters.magnitude = rope.value("attention_factor", parameters.magnitude);
  }
  if (type == "longrope") {
    const bool extended = item.at("context") > rope.at("original_max_position_embeddings");
    parameters.frequency_factors = rope.at(extended ? "long_factor" : "short_factor").get<std::vector<float>>();
    parameters.magnitude = longrope_magnitude(item.at("trained_context"), parameters.original_context_tokens);
  }
  return parameters;
}

TEST(Rope, FrequenciesAndMagnitudesAreThoseOfTransformers) {
  const nlohmann::json items = read_json(data_path("rope.json"));
  ASSERT_GE(items.size(), 24U);
  size_t n_frequencies = 0;
  size_t n_different = 0;
  for (const nlohmann::json& item : items) {
    const Rope rope = make_rope(parameters_of(item));
    const auto bits = item.at("inverse_frequency_bits").get<std::vector<uint32_t>>();
    ASSERT_EQ(rope.inverse_frequencies.size(), bits.size()) << item.at("rope");
    EXPECT_EQ(rope.magnitude, item.at("magnitude").get<float>()) << item.at("rope");
    for (size_t i = 0; i < bits.size(); ++i) {
      const int64_t distance = std::abs(static_cast<int64_t>(std::bit_cast<uint32_t>(rope.inverse_frequencies[i])) -
                                        static_cast<int64_t>(bits[i]));
      // torch's float32 pow is itself off by one unit now and then; the steps after it can double that.
      EXPECT_LE(distance, 2) << item.at("rope") << " pair " << i;
      ++n_frequencies;
      n_different += distance != 0;
    }
  }
  EXPECT_LT(n_different * 20, n_frequencies) << "more than one frequency in twenty differs";
}

TEST(Rope, PartialRotationHasFewerFrequencies) {
  RopeParameters parameters;
  parameters.head_width = 80;
  parameters.rotary_width = 32;
  const Rope rope = make_rope(parameters);
  EXPECT_EQ(rope.head_width, 80);
  ASSERT_EQ(rope.inverse_frequencies.size(), 16U);
  EXPECT_EQ(rope.inverse_frequencies[0], 1.0F);
}

TEST(Rope, YarnWithoutExtrapolationIsLinear) {
  RopeParameters parameters;
  parameters.head_width = parameters.rotary_width = 64;
  parameters.scaling = RopeScaling::kYarn;
  parameters.factor = 4.0;
  parameters.original_context_tokens = 4096;
  parameters.extrapolation = 0.0;
  const Rope yarn = make_rope(parameters);
  parameters.scaling = RopeScaling::kLinear;
  const Rope linear = make_rope(parameters);
  // A factor that is a power of two divides without rounding.
  EXPECT_EQ(yarn.inverse_frequencies, linear.inverse_frequencies);
}

}  // namespace
}  // namespace megalith::testing
