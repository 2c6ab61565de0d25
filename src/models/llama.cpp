// Llama (Touvron et al., 2023; Llama 2 and 3) and whatever else GGUF files under its name: Mistral, SmolLM, Granite
// Code. Biases are the exception; converters permute the rows of Q and K so that rotated pairs lie side by side.
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
                    .output = weights.linear(block + "attn_output", hidden, shape.attended_size(), Bias::kOptional)},
      .mlp_norm = weights.vector(block + "ffn_norm.weight", hidden),
      .mlp = load_gated_mlp(weights, block, shape, Bias::kOptional),
  };
}

constexpr std::array<std::string_view, 2> kFolderNames{"LlamaForCausalLM", "MistralForCausalLM"};

}  // namespace

constexpr HuggingFaceFamily kLlamaFolders{.architectures = kFolderNames};

std::unique_ptr<Model> load_llama(const Checkpoint& checkpoint, Ops& ops) {
  const Hyperparameters hyperparameters(checkpoint, "llama");
  constexpr IntegerRange kExpertRange{0, 1 << 16};
  if (hyperparameters.find_integer("expert_count", kExpertRange).value_or(0) > 0) {
    hyperparameters.refuse("expert_count", "a mixture of experts, which megalith does not run yet");
  }
  return load_dense_decoder({.architecture = "llama", .rope_style = RopeStyle::kInterleaved, .load_layer = load_layer},
                            checkpoint, ops);
}

}  // namespace megalith
