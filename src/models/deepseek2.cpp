// DeepSeek-V2 and V3 (DeepSeek-AI, DeepSeek-V3 Technical Report): multi-head latent attention with absorbed weights, so
// that all heads share one latent key whose beginning is the value; dense layers first, then grouped mixtures with
// shared experts.
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "models/dense_decoder.h"
#include "models/families.h"
#include "models/mixture.h"
#include "models/residual_decoder.h"
#include "models/rope.h"

namespace megalith {

namespace {

struct LatentShape {
  int32_t query_rank = 0;    // 0: queries are projected in one step
  int32_t latent_width = 0;  // of the compressed keys and values
  int32_t plain_width = 0;   // of a head's query that is not rotated
  int32_t rotary_width = 0;  // of the part that is
  int32_t value_width = 0;   // of one head
  int32_t query_width() const { return plain_width + rotary_width; }
};

LatentShape read_latent_shape(const Hyperparameters& hyperparameters, const DecoderShape& shape) {
  LatentShape latent;
  latent.query_rank = hyperparameters.find_integer("attention.q_lora_rank", kWidthRange).value_or(0);
  latent.latent_width = hyperparameters.integer("attention.kv_lora_rank", kWidthRange);
  latent.rotary_width = hyperparameters.integer("rope.dimension_count", kWidthRange);
  const int32_t query_width =
      hyperparameters.integer("attention.key_length_mla", {latent.rotary_width + 1, kWidthRange.most});
  latent.plain_width = query_width - latent.rotary_width;
  latent.value_width = hyperparameters.integer("attention.value_length_mla", kWidthRange);
  if (shape.kv_heads != 1) hyperparameters.refuse("attention.head_count_kv", "but all heads share one latent key");
  if (shape.key_width != latent.latent_width + latent.rotary_width) {
    hyperparameters.refuse("attention.key_length", "expected the sum of '" +
                                                       hyperparameters.key("attention.kv_lora_rank") + "' and '" +
                                                       hyperparameters.key("rope.dimension_count") + "'");
  }
  return latent;
}

struct LatentAttention {
  LatentShape shape;
  Attention attention;
  Weight query_down;   // [query_rank, hidden], or absent: query_up takes the hidden state
  Weight query_norm;   // [1, query_rank]
  Weight query_up;     // [heads * query_width, query_rank or hidden]
  Weight latent_down;  // [latent_width + rotary_width, hidden]
  Weight latent_norm;  // [1, latent_width]
  Weight key_up;       // [heads * latent_width, plain_width]: takes a head's query into the latent space
  Weight value_up;     // [heads * value_width, latent_width]
  Weight output;       // [hidden, heads * value_width]
  float epsilon = 0.0F;
  Rope rope;
};

class LatentAttentionMixer final : public TokenMixer {
 public:
  explicit LatentAttentionMixer(LatentAttention parts) : parts_(std::move(parts)) {}

  Tensor mix(Ops& ops, const Tensor& x) const override {
    const LatentShape& shape = parts_.shape;
    const bool low_rank = static_cast<bool>(parts_.query_down);
    const std::array<Linear, 2> projections{Linear{parts_.latent_down, {}},
                                            Linear{low_rank ? parts_.query_down : parts_.query_up, {}}};
    const std::vector<Tensor> projected = ops.linear(x, projections);
    Tensor query = projected[1];
    if (low_rank) query = ops.linear_one(ops.rms_norm(query, parts_.query_norm, parts_.epsilon), parts_.query_up);
    const int64_t width = shape.query_width();
    const Tensor plain = ops.slice_columns(query, {.group_width = width, .begin = 0, .width = shape.plain_width});
    const Tensor rotary =
        ops.slice_columns(query, {.group_width = width, .begin = shape.plain_width, .width = shape.rotary_width});
    const Tensor latent_query = ops.join_heads(ops.linear_per_head(plain, parts_.key_up), ops.rope(rotary, parts_.rope),
                                               parts_.attention.heads);

    const int64_t latent_width = shape.latent_width + shape.rotary_width;
    const Tensor latent =
        ops.slice_columns(projected[0], {.group_width = latent_width, .begin = 0, .width = shape.latent_width});
    const Tensor position = ops.slice_columns(
        projected[0], {.group_width = latent_width, .begin = shape.latent_width, .width = shape.rotary_width});
    const Tensor key =
        ops.join_heads(ops.rms_norm(latent, parts_.latent_norm, parts_.epsilon), ops.rope(position, parts_.rope), 1);
    const Tensor attended = ops.attention(latent_query, key, {}, parts_.attention);
    return ops.linear_one(ops.linear_per_head(attended, parts_.value_up), parts_.output);
  }

 private:
  LatentAttention parts_;
};

LatentAttention load_latent_attention(ResidualDecoderLoader& loader, const LatentShape& shape) {
  const std::string block = loader.next_block();
  const int32_t hidden = loader.shape().hidden_width;
  const int32_t heads = loader.shape().heads;
  WeightLoader& weights = loader.weights();
  LatentAttention parts;
  parts.shape = shape;
  parts.attention.layer = loader.next_layer();
  parts.attention.heads = heads;
  const int64_t query_size = int64_t{heads} * shape.query_width();
  if (shape.query_rank > 0) {
    parts.query_down = weights.matrix(block + "attn_q_a.weight", shape.query_rank, hidden);
    parts.query_norm = weights.vector(block + "attn_q_a_norm.weight", shape.query_rank);
    parts.query_up = weights.matrix(block + "attn_q_b.weight", query_size, shape.query_rank);
  } else {
    parts.query_up = weights.matrix(block + "attn_q.weight", query_size, hidden);
  }
  parts.latent_down = weights.matrix(block + "attn_kv_a_mqa.weight", shape.latent_width + shape.rotary_width, hidden);
  parts.latent_norm = weights.vector(block + "attn_kv_a_norm.weight", shape.latent_width);
  parts.key_up =
      weights.heads(block + "attn_k_b.weight", {.parts = heads, .out = shape.latent_width, .in = shape.plain_width});
  parts.value_up =
      weights.heads(block + "attn_v_b.weight", {.parts = heads, .out = shape.value_width, .in = shape.latent_width});
  parts.output = weights.matrix(block + "attn_output.weight", hidden, int64_t{heads} * shape.value_width);
  parts.epsilon = loader.shape().epsilon;
  return parts;
}

/// Files keep 0.1 of the multiplier of YaRN's magnitude. The model applies that magnitude to the scores of whole heads
/// instead of the rotated parts alone.
float score_scale(const Hyperparameters& hyperparameters, const LatentShape& shape, const RopeParameters& rope) {
  const double plain = 1.0 / std::sqrt(static_cast<double>(shape.query_width()));
  if (rope.scaling != RopeScaling::kYarn) return static_cast<float>(plain);
  const double tenth = hyperparameters.find_number("rope.scaling.yarn_log_multiplier", {0.0, 1e3}).value_or(0.0);
  const double magnitude = yarn_magnitude(rope.factor, 10.0 * tenth);
  return static_cast<float>(plain * magnitude * magnitude);
}

struct ExpertScores {
  Router::Score score = Router::Score::kSoftmax;
  int32_t groups = 1;
  int32_t chosen_groups = 1;
  Router::Normalise normalise = Router::Normalise::kNo;
  float scale = 1.0F;
};

ExpertScores read_expert_scores(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters,
                                const MixtureShape& mixture) {
  ExpertScores scores;
  constexpr int32_t kSigmoidGating = 2;  // 1: softmax
  const int32_t gating = hyperparameters.find_integer("expert_gating_func", {1, kSigmoidGating}).value_or(1);
  if (gating == kSigmoidGating) scores.score = Router::Score::kSigmoid;
  scores.groups = hyperparameters.find_integer("expert_group_count", {1, mixture.experts}).value_or(1);
  scores.chosen_groups = hyperparameters.find_integer("expert_group_used_count", {1, scores.groups}).value_or(1);
  const int32_t group_experts = mixture.experts / scores.groups;
  if (mixture.experts % scores.groups != 0 || group_experts < 2) {
    hyperparameters.refuse("expert_group_count", "expected groups of two or more of the " +
                                                     std::to_string(mixture.experts) + " experts, all alike");
  }
  if (scores.groups > 1 && gating != kSigmoidGating) {
    hyperparameters.refuse("expert_group_count", "but groups chosen by softmax scores (DeepSeek-V2) are not run yet");
  }
  if (scores.chosen_groups * group_experts < mixture.chosen) {
    hyperparameters.refuse("expert_group_used_count", "too few for '" + hyperparameters.key("expert_used_count") +
                                                          "', " + std::to_string(mixture.chosen));
  }
  const bool normalise = checkpoint.metadata().find_boolean(hyperparameters.key("expert_weights_norm")).value_or(false);
  scores.normalise = normalise ? Router::Normalise::kYes : Router::Normalise::kNo;
  scores.scale = static_cast<float>(hyperparameters.find_number("expert_weights_scale", {1e-6, 1e6}).value_or(1.0));
  return scores;
}

Moe load_mixture(WeightLoader& weights, const std::string& block, const MixtureShape& shape,
                 const ExpertScores& scores) {
  Moe moe;
  moe.router = load_router(weights, block, shape);
  moe.router.score = scores.score;
  moe.router.groups = scores.groups;
  moe.router.chosen_groups = scores.chosen_groups;
  moe.router.normalise = scores.normalise;
  moe.router.scale = scores.scale;
  if (weights.has(block + "exp_probs_b.bias")) {
    moe.router.selection_bias = weights.vector(block + "exp_probs_b.bias", shape.experts);
  }
  moe.experts = load_experts(weights, block, shape, {});
  return moe;
}

}  // namespace

std::unique_ptr<Model> load_deepseek2(const Checkpoint& checkpoint, Ops& ops) {
  ResidualDecoderLoader loader("deepseek2", checkpoint, ops);
  const Hyperparameters& hyperparameters = loader.hyperparameters();
  const DecoderShape& shape = loader.shape();
  const LatentShape latent = read_latent_shape(hyperparameters, shape);
  const MixtureShape mixture = read_mixture_shape(hyperparameters, shape);
  const ExpertScores scores = read_expert_scores(checkpoint, hyperparameters, mixture);
  const int32_t dense_layers = hyperparameters.find_integer("leading_dense_block_count", {0, shape.layers}).value_or(0);
  const int32_t shared_experts = hyperparameters.find_integer("expert_shared_count", {0, 64}).value_or(0);
  RopeParameters rotation = read_rope(
      checkpoint, hyperparameters,
      {.style = RopeStyle::kInterleaved, .head_width = latent.rotary_width, .context_tokens = shape.context_tokens});
  if (rotation.scaling == RopeScaling::kYarn) rotation.magnitude = 1.0;  // in score_scale instead
  WeightLoader& weights = loader.weights();
  for (int32_t i = 0; i < shape.layers; ++i) {
    const std::string block = loader.next_block();
    ResidualLayer layer;
    layer.mixer_norm = weights.vector(block + "attn_norm.weight", shape.hidden_width);
    LatentAttention attention = load_latent_attention(loader, latent);
    attention.attention.scale = score_scale(hyperparameters, latent, rotation);
    attention.rope = make_rope(rotation);
    layer.mixer = std::make_unique<LatentAttentionMixer>(std::move(attention));
    layer.kv = {.kv_heads = 1,
                .key_width = shape.key_width,
                .value_width = latent.latent_width,
                .values = PagedKv::Values::kPrefixOfKey};
    layer.mlp_norm = weights.vector(block + "ffn_norm.weight", shape.hidden_width);
    if (i < dense_layers) {
      layer.mlp = load_gated_mlp(weights, block, shape, Bias::kNone);
    } else {
      Moe moe = load_mixture(weights, block, mixture, scores);
      if (shared_experts > 0) {
        moe.shared =
            load_shared_expert(weights, block, shape.hidden_width, shared_experts * mixture.intermediate_width);
      }
      layer.mlp = std::move(moe);
    }
    loader.add(std::move(layer));
  }
  return loader.finish();
}

}  // namespace megalith
