#pragma once
// The decoder that Llama, Mistral, Qwen and Gemma share: pre-norm residual layers of grouped-query attention (Ainslie
// et al.) with rotary positions (Su et al.) and a gated MLP (Shazeer, GLU variants). A family's file says what a layer
// is made of.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/hyperparameters.h"
#include "models/model.h"
#include "models/weight_loader.h"
#include "ops/ops.h"

namespace megalith {

struct AttentionBlock {
  Linear query;   // [heads * key_width, hidden]
  Linear key;     // [kv_heads * key_width, hidden]
  Linear value;   // [kv_heads * value_width, hidden]
  Linear output;  // [hidden, heads * value_width]
  // Norms of each head before it is rotated, absent where a family has none.
  Weight query_norm{};  // [1, key_width]
  Weight key_norm{};    // [1, key_width]
};

struct DenseLayer {
  Weight attention_norm;  // [1, hidden]
  AttentionBlock attention;
  Weight mlp_norm;  // [1, hidden]
  GatedMlp mlp;
  // Norms of what is added to the residual, absent where a family has none.
  Weight attention_output_norm{};  // [1, hidden]
  Weight mlp_output_norm{};        // [1, hidden]
};

struct DenseFamily {
  enum class EmbeddingScale { kNone, kRootOfWidth };
  std::string_view architecture;  // prefix of its keys
  RopeStyle rope_style;           // of its GGUF files
  /// `block` is the prefix of the layer's tensors, "blk.7.".
  DenseLayer (*load_layer)(WeightLoader& weights, const std::string& block, const DecoderShape& shape);
  WindowPattern windows{};
  /// Of the rope of layers with a window, which is then not scaled as the others' may be; 0: theirs.
  double window_rope_base = 0.0;
  EmbeddingScale embedding_scale = EmbeddingScale::kNone;
  /// Of q . k; without it 1 / sqrt(key_width).
  float (*attention_scale)(const Hyperparameters& hyperparameters, const DecoderShape& shape) = nullptr;
};

/// Throws as load_model does.
std::unique_ptr<Model> load_dense_decoder(const DenseFamily& family, const Checkpoint& checkpoint, Ops& ops);

/// The gated MLP under its GGUF names ffn_gate, ffn_up and ffn_down.
GatedMlp load_gated_mlp(WeightLoader& weights, const std::string& block, const DecoderShape& shape, Bias bias);

}  // namespace megalith
