#include "models/dense_decoder.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <utility>

#include "models/rope.h"

namespace megalith {

namespace {

struct Parts {
  DecoderShape shape;
  Rope rope;
  Rope window_rope;              // of the layers with a window
  float attention_scale = 0.0F;  // of q . k
  float embedding_scale = 1.0F;
  Weight embedding;  // [vocabulary, hidden]
  std::vector<DenseLayer> layers;
  Weight output_norm;  // [1, hidden]
  Weight head;         // [vocabulary, hidden]; the embedding itself where the two are tied
};

class DenseDecoder final : public Model {
 public:
  DenseDecoder(ModelProperties properties, Parts parts)
      : properties_(std::move(properties)), parts_(std::move(parts)) {}

  const ModelProperties& properties() const override { return properties_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    const float epsilon = parts_.shape.epsilon;
    Tensor x = ops.embed(parts_.embedding);
    if (parts_.embedding_scale != 1.0F) x = ops.scale(x, parts_.embedding_scale);
    for (int32_t i = 0; i < parts_.shape.layers; ++i) {
      const DenseLayer& layer = parts_.layers[static_cast<size_t>(i)];
      Tensor attended = attend(ops, ops.rms_norm(x, layer.attention_norm, epsilon), layer.attention, i);
      x = ops.add(x, normalised(ops, std::move(attended), layer.attention_output_norm));
      // Past the last attention no row looks at another: only those wanted go on.
      if (i == parts_.shape.layers - 1) {
        if (batch.output_rows.empty()) return no_logits();
        x = ops.gather_rows(x, batch.output_rows);
      }
      Tensor transformed = ops.gated_mlp(ops.rms_norm(x, layer.mlp_norm, epsilon), layer.mlp);
      x = ops.add(x, normalised(ops, std::move(transformed), layer.mlp_output_norm));
    }
    return ops.logits(ops.rms_norm(x, parts_.output_norm, epsilon), parts_.head);
  }

 private:
  /// Where there is such a norm.
  Tensor normalised(Ops& ops, Tensor x, Weight gain) const {
    return gain ? ops.rms_norm(std::move(x), gain, parts_.shape.epsilon) : x;
  }

  Tensor attend(Ops& ops, const Tensor& x, const AttentionBlock& block, int32_t layer) const {
    const std::array<Linear, 3> projections{block.query, block.key, block.value};
    std::vector<Tensor> qkv = ops.linear(x, projections);
    const Rope& rope = parts_.shape.windows[static_cast<size_t>(layer)] > 0 ? parts_.window_rope : parts_.rope;
    const Tensor query = ops.rope(normalised(ops, std::move(qkv[0]), block.query_norm), rope);
    const Tensor key = ops.rope(normalised(ops, std::move(qkv[1]), block.key_norm), rope);
    const Attention attention{
        .layer = layer, .heads = parts_.shape.heads, .scale = parts_.attention_scale, .sinks = {}};
    const Tensor attended = ops.attention(query, key, std::move(qkv[2]), attention);
    return ops.linear_one(attended, block.output.weight, block.output.bias);
  }

  Tensor no_logits() const {
    Tensor none;
    none.columns = parts_.shape.vocabulary_size;
    return none;
  }

  ModelProperties properties_;
  Parts parts_;
};

ModelProperties describe(const DenseFamily& family, const Checkpoint& checkpoint, const DecoderShape& shape) {
  ModelProperties properties;
  properties.architecture = family.architecture;
  properties.name = checkpoint.metadata().find_string("general.name").value_or("");
  properties.layers = shape.layers;
  properties.hidden_width = shape.hidden_width;
  properties.vocabulary_size = shape.vocabulary_size;
  properties.context_tokens = shape.context_tokens;
  for (const int32_t window : shape.windows) {
    properties.state.layers.push_back(
        {.kv_heads = shape.kv_heads, .key_width = shape.key_width, .value_width = shape.value_width, .window = window});
  }
  return properties;
}

}  // namespace

std::unique_ptr<Model> load_dense_decoder(const DenseFamily& family, const Checkpoint& checkpoint, Ops& ops) {
  const Hyperparameters hyperparameters(checkpoint, family.architecture);
  const DecoderShape shape = read_decoder_shape(checkpoint, hyperparameters, family.windows);
  WeightLoader weights(checkpoint, ops);
  Parts parts;
  parts.shape = shape;
  const RopeParameters rope =
      read_rope(checkpoint, hyperparameters,
                {.style = family.rope_style, .head_width = shape.key_width, .context_tokens = shape.context_tokens});
  parts.rope = make_rope(rope);
  parts.window_rope = parts.rope;
  if (family.window_rope_base > 0.0) {
    parts.window_rope = make_rope(read_window_rope(hyperparameters, rope, family.window_rope_base));
  }
  parts.attention_scale = family.attention_scale != nullptr ? family.attention_scale(hyperparameters, shape)
                                                            : 1.0F / std::sqrt(static_cast<float>(shape.key_width));
  if (family.embedding_scale == DenseFamily::EmbeddingScale::kRootOfWidth) {
    parts.embedding_scale = std::sqrt(static_cast<float>(shape.hidden_width));
  }
  for (const std::string_view name : kRopeTensors) weights.mark_used(name);
  parts.embedding = weights.matrix("token_embd.weight", shape.vocabulary_size, shape.hidden_width);
  for (int32_t i = 0; i < shape.layers; ++i) {
    parts.layers.push_back(family.load_layer(weights, fmt::format("blk.{}.", i), shape));
  }
  parts.output_norm = weights.vector("output_norm.weight", shape.hidden_width);
  parts.head = weights.has("output.weight") ? weights.matrix("output.weight", shape.vocabulary_size, shape.hidden_width)
                                            : parts.embedding;
  weights.require_all_used(family.architecture);
  ModelProperties properties = describe(family, checkpoint, shape);
  properties.parameters = weights.parameters();
  return std::make_unique<DenseDecoder>(std::move(properties), std::move(parts));
}

GatedMlp load_gated_mlp(WeightLoader& weights, const std::string& block, const DecoderShape& shape, Bias bias) {
  const Linear gate = weights.linear(block + "ffn_gate", shape.intermediate_width, shape.hidden_width, bias);
  const Linear up = weights.linear(block + "ffn_up", shape.intermediate_width, shape.hidden_width, bias);
  const Linear down = weights.linear(block + "ffn_down", shape.hidden_width, shape.intermediate_width, bias);
  return {.gate = gate.weight,
          .up = up.weight,
          .down = down.weight,
          .activation = Activation::kSilu,
          .gate_bias = gate.bias,
          .up_bias = up.bias,
          .down_bias = down.bias};
}

}  // namespace megalith
