// Qwen3 (Yang et al., Qwen3 Technical Report, 2025): Qwen2's layers without biases, each head of queries and keys
// normalised before it is rotated.
#include <array>

#include "models/dense_decoder.h"
#include "models/families.h"
#include "models/hugging_face.h"

namespace megalith {

namespace {

DenseLayer load_layer(WeightLoader& weights, const std::string& block, const DecoderShape& shape) {
  const int32_t hidden = shape.hidden_width;
  return {
      .attention_norm = weights.vector(block + "attn_norm.weight", hidden),
      .attention = {.query = weights.linear(block + "attn_q", shape.query_size(), hidden, Bias::kOptional),
                    .key = weights.linear(block + "attn_k", shape.key_size(), hidden, Bias::kOptional),
                    .value = weights.linear(block + "attn_v", shape.value_size(), hidden, Bias::kOptional),
                    .output = weights.linear(block + "attn_output", hidden, shape.attended_size(), Bias::kOptional),
                    .query_norm = weights.vector(block + "attn_q_norm.weight", shape.key_width),
                    .key_norm = weights.vector(block + "attn_k_norm.weight", shape.key_width)},
      .mlp_norm = weights.vector(block + "ffn_norm.weight", hidden),
      .mlp = load_gated_mlp(weights, block, shape, Bias::kNone),
  };
}

constexpr std::array<std::string_view, 1> kFolderNames{"Qwen3ForCausalLM"};

}  // namespace

constexpr HuggingFaceFamily kQwen3Folders{.architectures = kFolderNames};

std::unique_ptr<Model> load_qwen3(const Checkpoint& checkpoint, Ops& ops) {
  return load_dense_decoder({.architecture = "qwen3", .rope_style = RopeStyle::kHalves, .load_layer = load_layer},
                            checkpoint, ops);
}

}  // namespace megalith
