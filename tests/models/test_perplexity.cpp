// Real models against transformers with the same weights in float32: perplexity of tests/data/prose.txt within 1 %.
// A model that is not on this machine is skipped: scripts/fetch_model fetches them. MEGALITH_TEST_MODELS names another
// folder; MEGALITH_TEST_MODEL_SMOLLM2 the one file that scripts/test fetches.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/environment.h"
#include "models/cpu_driver.h"
#include "models/golden.h"

namespace megalith::testing {
namespace {

std::filesystem::path model_path(const std::string& name, const std::string& file) {
  if (name == "smollm2") {
    if (const char* path = std::getenv("MEGALITH_TEST_MODEL_SMOLLM2")) return path;
  }
  if (const char* folder = std::getenv("MEGALITH_TEST_MODELS")) return std::filesystem::path(folder) / file;
  return std::filesystem::path(read_environment().cache_dir) / "models" / file;
}

class RealModel : public ::testing::TestWithParam<std::string> {};

TEST_P(RealModel, PerplexityIsThatOfTransformersWithinOnePercent) {
  const nlohmann::json reference = read_json(data_path("reference/" + GetParam() + ".json"));
  const std::filesystem::path path = model_path(GetParam(), reference.at("file"));
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; scripts/fetch_model " << GetParam();
  const auto tokens = reference.at("tokens").get<std::vector<int32_t>>();
  ASSERT_GE(tokens.size(), 2000U);
  Driver driver(path, cpu_ops(0), static_cast<int64_t>(tokens.size()) / kPageTokens + 1);
  const std::vector<double> logprobs = driver.token_logprobs(tokens, 256);
  ASSERT_EQ(logprobs.size(), tokens.size() - 1);
  const double mean = std::accumulate(logprobs.begin(), logprobs.end(), 0.0) / static_cast<double>(logprobs.size());
  const double perplexity = std::exp(-mean);
  const double expected = reference.at("perplexity");
  RecordProperty("perplexity", std::to_string(perplexity));
  EXPECT_NEAR(perplexity, expected, 0.01 * expected);
}

INSTANTIATE_TEST_SUITE_P(Reference, RealModel,
                         ::testing::Values("smollm2", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"),
                         [](const ::testing::TestParamInfo<std::string>& model) {
                           std::string name = model.param;
                           for (char& letter : name) {
                             if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
                           }
                           return name;
                         });

TEST(RealModelInExactNumerics, GivesTheLogProbabilitiesOfTransformers) {
  // Without quantised activations every token must agree, not only the mean.
  const nlohmann::json reference = read_json(data_path("reference/smollm2.json"));
  const std::filesystem::path path = model_path("smollm2", reference.at("file"));
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; scripts/fetch_model smollm2";
  const nlohmann::json& precise = reference.at("precise");
  const auto expected = precise.at("token_logprobs").get<std::vector<double>>();
  auto tokens = reference.at("tokens").get<std::vector<int32_t>>();
  tokens.resize(expected.size() + 1);
  Driver driver(path, reference_ops(ReferenceNumerics::kExact), 1);
  const std::vector<double> logprobs = driver.token_logprobs(tokens, tokens.size());
  // Both sides round to float32 in thirty layers; how much that moves a log probability of this model was measured on
  // the oracle, whose float64 run the expected values are. Six such errors hold any that comes by chance.
  const double tolerance = kDeviations * precise.at("rounding_error").get<double>();
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(logprobs[i], expected[i], tolerance) << "token " << i + 1;
}

}  // namespace
}  // namespace megalith::testing
