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
    for (int32_t i = 0; i < parts_.shape.layers; ++i) {
      const DenseLayer& layer = parts_.layers[static_cast<size_t>(i)];
      x = ops.add(x, attend(ops, ops.rms_norm(x, layer.attention_norm, epsilon), layer.attention, i));
      // Past the last attention no row looks at another: only those wanted go on.
      if (i == parts_.shape.layers - 1) {
        if (batch.output_rows.empty()) return no_logits();
        x = ops.gather_rows(x, batch.output_rows);
      }
      x = ops.add(x, ops.gated_mlp(ops.rms_norm(x, layer.mlp_norm, epsilon), layer.mlp));
    }
    return ops.logits(ops.rms_norm(x, parts_.output_norm, epsilon), parts_.head);
  }

 private:
  Tensor attend(Ops& ops, const Tensor& x, const AttentionBlock& block, int32_t layer) const {
    const std::array<Linear, 3> projections{block.query, block.key, block.value};
    std::vector<Tensor> qkv = ops.linear(x, projections);
    const Tensor query = ops.rope(std::move(qkv[0]), parts_.rope);
    const Tensor key = ops.rope(std::move(qkv[1]), parts_.rope);
    const Attention attention{.layer = layer,
                              .heads = parts_.shape.heads,
                              .scale = 1.0F / std::sqrt(static_cast<float>(parts_.shape.key_width))};
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
  properties.context_limit_tokens = shape.context_limit_tokens;
  properties.state.layers.assign(
      static_cast<size_t>(shape.layers),
      PagedKv{.kv_heads = shape.kv_heads, .key_width = shape.key_width, .value_width = shape.value_width});
  return properties;
}

}  // namespace

std::unique_ptr<Model> load_dense_decoder(const DenseFamily& family, const Checkpoint& checkpoint, Ops& ops) {
  const Hyperparameters hyperparameters(checkpoint, family.architecture);
  const DecoderShape shape = read_decoder_shape(checkpoint, hyperparameters);
  WeightLoader weights(checkpoint, ops);
  Parts parts;
  parts.shape = shape;
  parts.rope = make_rope(
      read_rope(checkpoint, hyperparameters,
                {.style = family.rope_style, .head_width = shape.key_width, .context_tokens = shape.context_tokens}));
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
