// Gemma 3 (Gemma Team, 2025), the text: five of six layers see a window only, and rotate with a base of their own;
// norms before and after attention and MLP, and of the heads of queries and keys; a tanh-GELU gate; embeddings scaled
// by the root of their width. (transformers rounds that root to the type it computes in; we take it in float32.)
#include <array>
#include <cmath>
#include <string>

#include "models/dense_decoder.h"
#include "models/families.h"
#include "models/hugging_face.h"

namespace megalith {

namespace {

DenseLayer load_layer(WeightLoader& weights, const std::string& block, const DecoderShape& shape) {
  const int32_t hidden = shape.hidden_width;
  DenseLayer layer{
      .attention_norm = weights.vector(block + "attn_norm.weight", hidden),
      .attention = {.query = weights.linear(block + "attn_q", shape.query_size(), hidden, Bias::kOptional),
                    .key = weights.linear(block + "attn_k", shape.key_size(), hidden, Bias::kOptional),
                    .value = weights.linear(block + "attn_v", shape.value_size(), hidden, Bias::kOptional),
                    .output = weights.linear(block + "attn_output", hidden, shape.attended_size(), Bias::kOptional),
                    .query_norm = weights.vector(block + "attn_q_norm.weight", shape.key_width),
                    .key_norm = weights.vector(block + "attn_k_norm.weight", shape.key_width)},
      .mlp_norm = weights.vector(block + "ffn_norm.weight", hidden),
      .mlp = load_gated_mlp(weights, block, shape, Bias::kNone),
      .attention_output_norm = weights.vector(block + "post_attention_norm.weight", hidden),
      .mlp_output_norm = weights.vector(block + "post_ffw_norm.weight", hidden),
  };
  layer.mlp.activation = Activation::kGeluTanh;
  return layer;
}

/// GGUF files do not say it; only the 27B, the one of 62 layers, divides by the root of another width than a key's.
float attention_scale(const Hyperparameters& hyperparameters, const DecoderShape& shape) {
  if (const auto scale = hyperparameters.find_number("attention.scale", {1e-6, 1e3})) return static_cast<float>(*scale);
  constexpr int32_t kLayersOf27B = 62;
  const int32_t width = shape.layers == kLayersOf27B ? shape.hidden_width / shape.heads : shape.key_width;
  return 1.0F / std::sqrt(static_cast<float>(width));
}

constexpr std::array<std::string_view, 2> kFolderNames{"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"};
constexpr std::array kModules{
    ModuleName{"model.layers.#.post_attention_layernorm", "blk.#.post_attention_norm"},
    ModuleName{"model.layers.#.pre_feedforward_layernorm", "blk.#.ffn_norm"},
    ModuleName{"model.layers.#.post_feedforward_layernorm", "blk.#.post_ffw_norm"},
};

/// What transformers' Gemma3TextConfig takes for granted: Google's own folders leave it out.
void add_keys(HuggingFaceConfig& config) {
  const double scalar = config.metadata().find_number(config.key("query_pre_attn_scalar")).value_or(256.0);
  if (!(scalar > 0.0)) config.refuse("query_pre_attn_scalar", "expected a positive number");
  config.add("attention.scale", 1.0 / std::sqrt(scalar));
  config.add("attention.head_count", int64_t{8});
  config.add("attention.head_count_kv", int64_t{4});
  config.add("attention.key_length", int64_t{256});
  config.add("attention.value_length", int64_t{256});
  config.add("attention.layer_norm_rms_epsilon", 1e-6);
  config.add("attention.sliding_window", int64_t{4096});
  config.add("context_length", int64_t{131072});
  config.add("rope.freq_base", 1e6);
  if (config.metadata().find_boolean(config.key("use_bidirectional_attention")).value_or(false)) {
    config.refuse("use_bidirectional_attention", "which megalith does not run");
  }
}

}  // namespace

constexpr HuggingFaceFamily kGemma3Folders{.architectures = kFolderNames,
                                           .activation = "gelu_pytorch_tanh",
                                           .modules = kModules,
                                           .norm_offset = 1.0F,
                                           .add_keys = add_keys};

std::unique_ptr<Model> load_gemma3(const Checkpoint& checkpoint, Ops& ops) {
  const Hyperparameters hyperparameters(checkpoint, "gemma3");
  for (const std::string_view cap : {"final_logit_softcapping", "attn_logit_softcapping"}) {
    if (hyperparameters.find_number(cap, {0.0, 1e6}).value_or(0.0) > 0.0) {
      hyperparameters.refuse(cap, "which no Gemma 3 has, and megalith does not run");
    }
  }
  return load_dense_decoder({.architecture = "gemma3",
                             .rope_style = RopeStyle::kHalves,
                             .load_layer = load_layer,
                             .windows = {.global_every = 6},
                             .window_rope_base = 10000.0,
                             .embedding_scale = DenseFamily::EmbeddingScale::kRootOfWidth,
                             .attention_scale = attention_scale},
                            checkpoint, ops);
}

}  // namespace megalith
