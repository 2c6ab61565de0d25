// gpt-oss (OpenAI, gpt-oss-120b and gpt-oss-20b model card): attention with sinks, every other layer through a sliding
// window; experts with biases and a clamped gate, chosen by their raw scores.
#include <utility>

#include "models/families.h"
#include "models/grouped_attention.h"
#include "models/mixture.h"
#include "models/residual_decoder.h"
#include "models/rope.h"

namespace megalith {

namespace {

Moe load_mixture(WeightLoader& weights, const std::string& block, const MixtureShape& shape) {
  Moe moe;
  moe.router = load_router(weights, block, shape);
  moe.router.bias = weights.vector(block + "ffn_gate_inp.bias", shape.experts);
  moe.router.score = Router::Score::kSoftmaxOfChosen;
  moe.router.normalise = Router::Normalise::kNo;  // they sum to one as they are
  moe.experts =
      load_experts(weights, block, shape, {.activation = Activation::kClampedSwiglu, .bias = Bias::kRequired});
  return moe;
}

}  // namespace

std::unique_ptr<Model> load_gpt_oss(const Checkpoint& checkpoint, Ops& ops) {
  ResidualDecoderLoader loader("gpt-oss", checkpoint, ops, {.global_every = 2});
  const DecoderShape& shape = loader.shape();
  const MixtureShape mixture = read_mixture_shape(loader.hyperparameters(), shape);
  RopeParameters rotation =
      read_rope(checkpoint, loader.hyperparameters(),
                {.style = RopeStyle::kHalves, .head_width = shape.key_width, .context_tokens = shape.context_tokens});
  // It was trained with a ramp between fractions of pairs; files say nothing of it.
  rotation.ramp_ends = RampEnds::kExact;
  const Rope rope = make_rope(rotation);
  WeightLoader& weights = loader.weights();
  for (int32_t i = 0; i < shape.layers; ++i) {
    const std::string block = loader.next_block();
    ResidualLayer layer;
    layer.mixer_norm = weights.vector(block + "attn_norm.weight", shape.hidden_width);
    GroupedAttention attention = load_grouped_attention(loader, {.bias = Bias::kRequired}, rope);
    attention.attention.sinks = weights.vector(block + "attn_sinks.weight", shape.heads);
    layer.mixer = make_grouped_attention(std::move(attention));
    layer.kv = grouped_kv(shape, i);
    layer.mlp_norm = weights.vector(block + "post_attention_norm.weight", shape.hidden_width);
    layer.mlp = load_mixture(weights, block, mixture);
    loader.add(std::move(layer));
  }
  return loader.finish();
}

}  // namespace megalith
