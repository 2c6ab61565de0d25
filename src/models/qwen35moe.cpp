// Qwen3.5-MoE (and Qwen3-Next before it): three of four layers are gated delta nets (Yang et al., Gated Delta
// Networks), every fourth is attention with an output gate and a rope on part of each head; a shared expert beside the
// mixture. Texts alone: the three axes of its positions are then one.
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "models/families.h"
#include "models/grouped_attention.h"
#include "models/mixture.h"
#include "models/residual_decoder.h"
#include "models/rope.h"

namespace megalith {

namespace {

/// Of the normalisation of the delta rule's queries and keys, whatever that of the RMS norms is.
constexpr float kUnitEpsilon = 1e-6F;

struct DeltaShape {
  int32_t kernel = 0;  // of the convolution, in tokens
  int32_t key_heads = 0;
  int32_t value_heads = 0;  // a multiple of key_heads
  int32_t key_width = 0;    // of one head
  int32_t value_width = 0;

  int32_t key_size() const { return key_heads * key_width; }
  int32_t value_size() const { return value_heads * value_width; }
  int32_t channels() const { return 2 * key_size() + value_size(); }  // queries, keys, values
};

DeltaShape read_delta_shape(const Hyperparameters& hyperparameters) {
  constexpr IntegerRange kWidths{1, 1 << 14};
  constexpr IntegerRange kHeads{1, 1 << 12};
  DeltaShape shape;
  shape.kernel = hyperparameters.integer("ssm.conv_kernel", {2, 64});
  shape.key_heads = hyperparameters.integer("ssm.group_count", kHeads);
  shape.value_heads = hyperparameters.integer("ssm.time_step_rank", kHeads);
  shape.key_width = hyperparameters.integer("ssm.state_size", kWidths);
  const int32_t value_size = hyperparameters.integer("ssm.inner_size", {1, 1 << 26});
  if (shape.value_heads % shape.key_heads != 0) {
    hyperparameters.refuse("ssm.time_step_rank", "which is no multiple of '" + hyperparameters.key("ssm.group_count") +
                                                     "', " + std::to_string(shape.key_heads));
  }
  if (value_size % shape.value_heads != 0) {
    hyperparameters.refuse("ssm.inner_size", "which is no multiple of '" + hyperparameters.key("ssm.time_step_rank") +
                                                 "', " + std::to_string(shape.value_heads));
  }
  shape.value_width = value_size / shape.value_heads;
  return shape;
}

struct DeltaNet {
  DeltaShape shape;
  Weight projection;   // [channels, hidden]
  Weight output_gate;  // [value_size, hidden]
  Weight a;            // [value_heads, hidden]
  Weight b;            // [value_heads, hidden]
  Weight convolution;  // [channels, kernel]
  Weight norm;         // [1, value_width]
  Weight output;       // [hidden, value_size]
  GatedDelta delta;
  float epsilon = 0.0F;
};

class DeltaNetMixer final : public TokenMixer {
 public:
  explicit DeltaNetMixer(const DeltaNet& parts) : parts_(parts) {}

  Tensor mix(Ops& ops, const Tensor& x) const override {
    const std::array<Linear, 4> projections{Linear{parts_.projection, {}}, Linear{parts_.output_gate, {}},
                                            Linear{parts_.a, {}}, Linear{parts_.b, {}}};
    const std::vector<Tensor> projected = ops.linear(x, projections);
    const Tensor mixed = ops.short_conv(projected[0], parts_.convolution, parts_.delta.layer);
    const DeltaShape& shape = parts_.shape;
    const auto part = [&](int32_t begin, int32_t width) {
      return ops.slice_columns(mixed, {.group_width = shape.channels(), .begin = begin, .width = width});
    };
    const Tensor query = ops.l2_norm(part(0, shape.key_size()), shape.key_width, kUnitEpsilon);
    const Tensor key = ops.l2_norm(part(shape.key_size(), shape.key_size()), shape.key_width, kUnitEpsilon);
    const Tensor value = part(2 * shape.key_size(), shape.value_size());
    Tensor out = ops.gated_delta({.query = query, .key = key, .value = value, .a = projected[2], .b = projected[3]},
                                 parts_.delta);
    out = ops.gate(ops.rms_norm(out, parts_.norm, parts_.epsilon), projected[1], GateFunction::kSilu);
    return ops.linear_one(out, parts_.output);
  }

 private:
  DeltaNet parts_;
};

void load_delta_net(ResidualDecoderLoader& loader, const DeltaShape& shape, ResidualLayer& layer) {
  const std::string block = loader.next_block();
  const int32_t hidden = loader.shape().hidden_width;
  WeightLoader& weights = loader.weights();
  DeltaNet parts;
  parts.shape = shape;
  parts.projection = weights.matrix(block + "attn_qkv.weight", shape.channels(), hidden);
  parts.output_gate = weights.matrix(block + "attn_gate.weight", shape.value_size(), hidden);
  parts.a = weights.matrix(block + "ssm_alpha.weight", shape.value_heads, hidden);
  parts.b = weights.matrix(block + "ssm_beta.weight", shape.value_heads, hidden);
  parts.convolution = weights.matrix(block + "ssm_conv1d.weight", shape.channels(), shape.kernel);
  parts.norm = weights.vector(block + "ssm_norm.weight", shape.value_width);
  parts.output = weights.matrix(block + "ssm_out.weight", hidden, shape.value_size());
  parts.delta.layer = loader.next_layer();
  parts.delta.key_heads = shape.key_heads;
  // GGUF files keep the value heads that share a key head apart, and minus the rate instead of its logarithm.
  parts.delta.order = GatedDelta::HeadOrder::kTiled;
  parts.delta.decay = GatedDelta::Decay::kNegativeRate;
  parts.delta.decay_rate = weights.vector(block + "ssm_a", shape.value_heads);
  parts.delta.time_bias = weights.vector(block + "ssm_dt.bias", shape.value_heads);
  parts.delta.scale = 1.0F / std::sqrt(static_cast<float>(shape.key_width));
  parts.epsilon = loader.shape().epsilon;
  layer.mixer = std::make_unique<DeltaNetMixer>(parts);
  layer.recurrent = {.channels = shape.channels(),
                     .kernel = shape.kernel,
                     .heads = shape.value_heads,
                     .key_width = shape.key_width,
                     .value_width = shape.value_width};
}

}  // namespace

std::unique_ptr<Model> load_qwen35moe(const Checkpoint& checkpoint, Ops& ops) {
  ResidualDecoderLoader loader("qwen35moe", checkpoint, ops);
  const Hyperparameters& hyperparameters = loader.hyperparameters();
  const DecoderShape& shape = loader.shape();
  const MixtureShape mixture = read_mixture_shape(hyperparameters, shape);
  const DeltaShape delta = read_delta_shape(hyperparameters);
  const int32_t shared_width = hyperparameters.integer("expert_shared_feed_forward_length", kWidthRange);
  const int32_t interval = hyperparameters.find_integer("full_attention_interval", {1, 1 << 12}).value_or(4);
  const Rope rope = make_rope(
      read_rope(checkpoint, hyperparameters,
                {.style = RopeStyle::kHalves, .head_width = shape.key_width, .context_tokens = shape.context_tokens}));
  WeightLoader& weights = loader.weights();
  for (int32_t i = 0; i < shape.layers; ++i) {
    const std::string block = loader.next_block();
    ResidualLayer layer;
    layer.mixer_norm = weights.vector(block + "attn_norm.weight", shape.hidden_width);
    if ((i + 1) % interval == 0) {
      layer.mixer = make_grouped_attention(load_grouped_attention(
          loader, {.norms = HeadNorms::kQueryAndKey, .gate = GroupedAttention::OutputGate::kBesideQuery}, rope));
      layer.kv = grouped_kv(shape, i);
    } else {
      load_delta_net(loader, delta, layer);
    }
    layer.mlp_norm = weights.vector(block + "post_attention_norm.weight", shape.hidden_width);
    Moe moe;
    moe.router = load_router(weights, block, mixture);
    moe.experts = load_experts(weights, block, mixture, {});
    moe.shared = load_shared_expert(weights, block, shape.hidden_width, shared_width);
    moe.shared_gate = weights.vector(block + "ffn_gate_inp_shexp.weight", shape.hidden_width);
    layer.mlp = std::move(moe);
    loader.add(std::move(layer));
  }
  return loader.finish();
}

}  // namespace megalith
