// Qwen3-MoE (Yang et al., Qwen3 Technical Report): attention with normalised queries and keys, a mixture of experts in
// every layer.
#include <array>
#include <utility>

#include "models/families.h"
#include "models/grouped_attention.h"
#include "models/hugging_face.h"
#include "models/mixture.h"
#include "models/residual_decoder.h"
#include "models/rope.h"

namespace megalith {

namespace {

constexpr std::array<std::string_view, 1> kFolderNames{"Qwen3MoeForCausalLM"};
constexpr std::array kModules{
    ModuleName{"model.layers.#.mlp.gate", "blk.#.ffn_gate_inp"},
    // transformers keeps each expert's matrices by themselves, mlx-lm stacks them.
    ModuleName{"model.layers.#.mlp.experts.#.gate_proj", "blk.#.ffn_gate.#"},
    ModuleName{"model.layers.#.mlp.experts.#.up_proj", "blk.#.ffn_up.#"},
    ModuleName{"model.layers.#.mlp.experts.#.down_proj", "blk.#.ffn_down.#"},
    ModuleName{"model.layers.#.mlp.switch_mlp.gate_proj", "blk.#.ffn_gate_exps"},
    ModuleName{"model.layers.#.mlp.switch_mlp.up_proj", "blk.#.ffn_up_exps"},
    ModuleName{"model.layers.#.mlp.switch_mlp.down_proj", "blk.#.ffn_down_exps"},
};
constexpr std::array kKeys{
    ConfigKey{"num_experts", "expert_count"},
    ConfigKey{"num_experts_per_tok", "expert_used_count"},
    ConfigKey{"moe_intermediate_size", "expert_feed_forward_length"},
    ConfigKey{"norm_topk_prob", "expert_weights_norm"},
};

void add_keys(HuggingFaceConfig& config) {
  if (config.find("num_experts") == nullptr) config.copy({"num_local_experts", "expert_count"});  // transformers 5
  config.add("expert_weights_norm", false);  // what transformers takes for granted
  if (config.find("mlp_only_layers") != nullptr)
    config.refuse("mlp_only_layers", "but layers without experts are not run");
  if (config.metadata().find_integer(config.key("decoder_sparse_step")).value_or(1) != 1) {
    config.refuse("decoder_sparse_step", "but layers without experts are not run");
  }
}

}  // namespace

constexpr HuggingFaceFamily kQwen3MoeFolders{
    .architectures = kFolderNames, .modules = kModules, .keys = kKeys, .add_keys = add_keys};

std::unique_ptr<Model> load_qwen3moe(const Checkpoint& checkpoint, Ops& ops) {
  ResidualDecoderLoader loader("qwen3moe", checkpoint, ops);
  const DecoderShape& shape = loader.shape();
  const MixtureShape mixture = read_mixture_shape(loader.hyperparameters(), shape);
  const Rope rope = make_rope(
      read_rope(checkpoint, loader.hyperparameters(),
                {.style = RopeStyle::kHalves, .head_width = shape.key_width, .context_tokens = shape.context_tokens}));
  // GGUF files do not say; every model of this family that has been published normalises.
  const bool normalise =
      checkpoint.metadata().find_boolean(loader.hyperparameters().key("expert_weights_norm")).value_or(true);
  WeightLoader& weights = loader.weights();
  for (int32_t i = 0; i < shape.layers; ++i) {
    const std::string block = loader.next_block();
    ResidualLayer layer;
    layer.mixer_norm = weights.vector(block + "attn_norm.weight", shape.hidden_width);
    layer.mixer = make_grouped_attention(load_grouped_attention(loader, {.norms = HeadNorms::kQueryAndKey}, rope));
    layer.kv = grouped_kv(shape, i);
    layer.mlp_norm = weights.vector(block + "ffn_norm.weight", shape.hidden_width);
    Moe moe;
    moe.router = load_router(weights, block, mixture);
    moe.router.normalise = normalise ? Router::Normalise::kYes : Router::Normalise::kNo;
    moe.experts = load_experts(weights, block, mixture, {});
    layer.mlp = std::move(moe);
    loader.add(std::move(layer));
  }
  return loader.finish();
}

}  // namespace megalith
