// Qwen2 and Qwen2.5 (Yang et al., 2024): Llama's layers with biases on Q, K and V, and rotated pairs half a head apart.
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
      .attention = {.query = weights.linear(block + "attn_q", shape.query_size(), hidden, Bias::kRequired),
                    .key = weights.linear(block + "attn_k", shape.key_size(), hidden, Bias::kRequired),
                    .value = weights.linear(block + "attn_v", shape.value_size(), hidden, Bias::kRequired),
                    .output = weights.linear(block + "attn_output", hidden, shape.attended_size(), Bias::kNone)},
      .mlp_norm = weights.vector(block + "ffn_norm.weight", hidden),
      .mlp = load_gated_mlp(weights, block, shape, Bias::kNone),
  };
}

constexpr std::array<std::string_view, 1> kFolderNames{"Qwen2ForCausalLM"};

}  // namespace

constexpr HuggingFaceFamily kQwen2Folders{.architectures = kFolderNames};

std::unique_ptr<Model> load_qwen2(const Checkpoint& checkpoint, Ops& ops) {
  return load_dense_decoder({.architecture = "qwen2", .rope_style = RopeStyle::kHalves, .load_layer = load_layer},
                            checkpoint, ops);
}

}  // namespace megalith
