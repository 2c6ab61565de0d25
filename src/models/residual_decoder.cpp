#include "models/residual_decoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "models/rope.h"

namespace megalith {

namespace {

struct Parts {
  float epsilon = 0.0F;
  Weight embedding;  // [vocabulary, hidden]
  std::vector<ResidualLayer> layers;
  Weight output_norm;  // [1, hidden]
  Weight head;         // [vocabulary, hidden]; the embedding itself where the two are tied
};

class ResidualDecoder final : public Model {
 public:
  ResidualDecoder(ModelProperties properties, Parts parts)
      : properties_(std::move(properties)), parts_(std::move(parts)) {}

  const ModelProperties& properties() const override { return properties_; }

  Tensor forward(Ops& ops, const Batch& batch) const override {
    Tensor x = ops.embed(parts_.embedding);
    for (const ResidualLayer& layer : parts_.layers) {
      x = ops.add(x, layer.mixer->mix(ops, ops.rms_norm(x, layer.mixer_norm, parts_.epsilon)));
      // Past the last mixer no row looks at another: only those wanted go on.
      if (&layer == &parts_.layers.back()) {
        if (batch.output_rows.empty()) return no_logits();
        x = ops.gather_rows(x, batch.output_rows);
      }
      const Tensor normalised = ops.rms_norm(x, layer.mlp_norm, parts_.epsilon);
      const auto* dense = std::get_if<GatedMlp>(&layer.mlp);
      x = ops.add(x,
                  dense != nullptr ? ops.gated_mlp(normalised, *dense) : ops.moe(normalised, std::get<Moe>(layer.mlp)));
    }
    return ops.logits(ops.rms_norm(x, parts_.output_norm, parts_.epsilon), parts_.head);
  }

 private:
  Tensor no_logits() const {
    Tensor none;
    none.columns = properties_.vocabulary_size;
    return none;
  }

  ModelProperties properties_;
  Parts parts_;
};

}  // namespace

ResidualDecoderLoader::ResidualDecoderLoader(std::string_view architecture, const Checkpoint& checkpoint, Ops& ops,
                                             WindowPattern windows)
    : architecture_(architecture),
      checkpoint_(checkpoint),
      hyperparameters_(checkpoint, architecture),
      shape_(read_decoder_shape(checkpoint, hyperparameters_, windows)),
      weights_(checkpoint, ops) {
  for (const std::string_view name : kRopeTensors) weights_.mark_used(name);
  embedding_ = weights_.matrix("token_embd.weight", shape_.vocabulary_size, shape_.hidden_width);
}

std::string ResidualDecoderLoader::next_block() const { return fmt::format("blk.{}.", layers_.size()); }

ModelProperties ResidualDecoderLoader::describe() const {
  ModelProperties properties;
  properties.architecture = architecture_;
  properties.name = checkpoint_.metadata().find_string("general.name").value_or("");
  properties.layers = shape_.layers;
  properties.hidden_width = shape_.hidden_width;
  properties.vocabulary_size = shape_.vocabulary_size;
  properties.context_tokens = shape_.context_tokens;
  properties.parameters = weights_.parameters();
  for (const ResidualLayer& layer : layers_) {
    properties.state.layers.push_back(layer.kv);
    properties.state.recurrent.push_back(layer.recurrent);
  }
  if (properties.state.slot_bytes() == 0) properties.state.recurrent.clear();
  return properties;
}

std::unique_ptr<Model> ResidualDecoderLoader::finish() {
  const Weight norm = weights_.vector("output_norm.weight", shape_.hidden_width);
  const Weight head = weights_.has("output.weight")
                          ? weights_.matrix("output.weight", shape_.vocabulary_size, shape_.hidden_width)
                          : embedding_;
  weights_.require_all_used(architecture_);
  ModelProperties properties = describe();
  return std::make_unique<ResidualDecoder>(std::move(properties), Parts{.epsilon = shape_.epsilon,
                                                                        .embedding = embedding_,
                                                                        .layers = std::move(layers_),
                                                                        .output_norm = norm,
                                                                        .head = head});
}

}  // namespace megalith
