#pragma once
// The tiny checkpoints of tests/models/data and what transformers computed from them (make_tiny_checkpoints.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace megalith::testing {

inline std::string data_path(const std::string& file) {
  return std::string(MEGALITH_TEST_DATA) + "/models/data/" + file;
}

/// A GGUF file, or a folder of Hugging Face's kind.
inline std::string checkpoint_path(const std::string& name) {
  const std::string folder = data_path(name);
  return std::filesystem::is_directory(folder) ? folder : folder + ".gguf";
}

inline nlohmann::json read_json(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  return nlohmann::json::parse(in);
}

struct Golden {
  std::vector<int32_t> prompt;
  std::vector<int32_t> greedy;
  std::vector<double> token_logprobs;
  std::vector<float> logits;  // [logit_rows, vocabulary], of the prompt's last positions
  size_t logit_rows = 0;
  size_t vocabulary = 0;
  double layers = 0, hidden = 0, heads = 0, head_width = 0, intermediate = 0;
  double extra_roundings = 0;        // a layer's, of norms beyond the usual two
  double oracle_rounding_error = 0;  // largest difference of the oracle's float32 logits from its float64 ones
};

inline Golden read_golden(const std::string& name) {
  const nlohmann::json json = read_json(data_path(name + ".json"));
  Golden golden;
  golden.prompt = json.at("prompt").get<std::vector<int32_t>>();
  golden.greedy = json.at("greedy").get<std::vector<int32_t>>();
  golden.token_logprobs = json.at("token_logprobs").get<std::vector<double>>();
  golden.logit_rows = json.at("logit_rows");
  golden.vocabulary = json.at("vocabulary");
  golden.layers = json.at("layers");
  golden.hidden = json.at("hidden");
  golden.heads = json.at("heads");
  golden.head_width = json.at("head_width");
  golden.intermediate = json.at("intermediate");
  golden.extra_roundings = json.value("extra_roundings", 0.0);
  golden.oracle_rounding_error = json.at("oracle_rounding_error");
  golden.logits.resize(golden.logit_rows * golden.vocabulary);
  std::ifstream in(data_path(name + ".f32"), std::ios::binary);
  in.read(reinterpret_cast<char*>(golden.logits.data()),
          static_cast<std::streamsize>(golden.logits.size() * sizeof(float)));
  if (!in) throw std::runtime_error("cannot read " + name + ".f32");
  return golden;
}

// How far two correct implementations may lie apart. Rounding errors are taken as independent (Higham and Mary, 2019):
// n of them, each of relative size u, change a value by about u sqrt(n) of its size; a sum of K terms counts as K.

/// Roundings that a value of the residual stream has gone through at the end of `golden`'s model, in float32.
inline double roundings(const Golden& golden) {
  const double query = golden.heads * golden.head_width;
  const auto context = static_cast<double>(golden.prompt.size() + golden.greedy.size());
  const double norm = golden.hidden + 5;                                   // sum, mean, epsilon, root, scale, gain
  const double attention = norm + golden.hidden + 6                        // projections, rope
                           + golden.head_width + 4 + context + query + 1;  // scores, softmax, values, output, residual
  const double mlp =
      norm + golden.hidden + 5 + golden.intermediate + 1;  // gate and up, silu and product, down, residual
  return golden.layers * (attention + mlp + golden.extra_roundings) + norm + golden.hidden;  // and the head
}

/// How much a layer may enlarge a relative error that enters it. Softmax turns a relative error e of q and of k into
/// one of sqrt(2) s e, where the scores' size s is 1.5 by the generator's choice of gains: sqrt(1 + 2 s^2) with the
/// values' own. The gated product has two factors: sqrt(2). Norms, linear maps and the residual sum pass it on.
inline double layer_gain() { return std::sqrt(1.0 + 2.0 * 1.5 * 1.5) * std::sqrt(2.0); }

inline double root_mean_square(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

/// The largest of some thousand independent errors stays below six standard deviations.
inline constexpr double kDeviations = 6;

/// Between the oracle's float32 and arithmetic that is at least as precise.
inline double float_tolerance(const Golden& golden) {
  const double u = std::ldexp(1.0, -24);
  return kDeviations * root_mean_square(golden.logits) * u * std::sqrt(roundings(golden)) *
         std::pow(layer_gain(), golden.layers);
}

/// The same where K and V are kept in half precision: two more roundings a layer, each uniform within 2^-11, which is
/// 2^-11 / sqrt(3) in the root mean square.
inline double half_kv_tolerance(const Golden& golden) {
  const double half = std::ldexp(1.0, -11) / std::sqrt(3.0);
  return float_tolerance(golden) + kDeviations * root_mean_square(golden.logits) * half *
                                       std::sqrt(2.0 * golden.layers) * std::pow(layer_gain(), golden.layers);
}

inline double largest_difference(const std::vector<float>& ours, const std::vector<float>& theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    const double difference = std::abs(static_cast<double>(ours[i]) - theirs[i]);
    if (!(difference <= largest)) largest = difference;  // a NaN sticks
  }
  return largest;
}

inline constexpr std::array kFloatCheckpoints{"llama",          "llama-linear", "llama-llama3", "llama-yarn",
                                              "llama-longrope", "llama-biases", "qwen2",        "qwen2-yarn",
                                              "qwen3",          "gemma3",       "llama-folder", "mistral-folder",
                                              "qwen2-folder",   "qwen3-folder", "gemma3-folder"};
inline constexpr std::array kQuantisedCheckpoints{"llama-q4_0", "llama-q4_1", "llama-q5_1", "llama-q8_0",
                                                  "llama-k",    "qwen2-q5_0", "qwen2-gptq"};

inline constexpr std::array kSparseCheckpoints{"qwen3moe", "qwen35moe", "gpt-oss", "deepseek2", "qwen3moe-mlx"};

inline std::vector<std::string> all_checkpoints() {
  std::vector<std::string> names(kFloatCheckpoints.begin(), kFloatCheckpoints.end());
  names.insert(names.end(), kQuantisedCheckpoints.begin(), kQuantisedCheckpoints.end());
  names.insert(names.end(), kSparseCheckpoints.begin(), kSparseCheckpoints.end());
  return names;
}

/// Name of a test over a checkpoint: gtest allows no '-'.
inline std::string test_name(const ::testing::TestParamInfo<std::string>& checkpoint) {
  std::string name = checkpoint.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

}  // namespace megalith::testing
