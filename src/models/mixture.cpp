#include "models/mixture.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

namespace megalith {

namespace {

constexpr IntegerRange kExpertRange{1, 1 << 16};

struct Stack {
  std::vector<Weight> weights;  // of each expert
  std::vector<Weight> biases;   // the same, or empty
};

/// `NAME_exps` of all experts in one tensor, or, where a file keeps each by itself, `NAME.3` of each.
Stack load_stack(WeightLoader& weights, const std::string& name, const StackShape& shape, Bias bias) {
  Stack stack;
  const std::string stacked = name + "_exps";
  if (!weights.has(stacked + ".weight") && weights.has(name + ".0.weight")) {
    for (int64_t i = 0; i < shape.parts; ++i) {
      const Linear expert = weights.linear(fmt::format("{}.{}", name, i), shape.out, shape.in, bias);
      stack.weights.push_back(expert.weight);
      if (expert.bias) stack.biases.push_back(expert.bias);
    }
    return stack;
  }
  stack.weights = weights.stack(stacked + ".weight", shape);
  if (bias != Bias::kNone) stack.biases = weights.vector_stack(stacked + ".bias", shape.parts, shape.out);
  return stack;
}

Weight bias_of(const Stack& stack, size_t expert) { return stack.biases.empty() ? Weight{} : stack.biases[expert]; }

}  // namespace

MixtureShape read_mixture_shape(const Hyperparameters& hyperparameters, const DecoderShape& shape) {
  MixtureShape mixture;
  mixture.hidden_width = shape.hidden_width;
  mixture.experts = hyperparameters.integer("expert_count", kExpertRange);
  mixture.chosen = hyperparameters.integer("expert_used_count", {1, mixture.experts});
  mixture.intermediate_width = hyperparameters.integer("expert_feed_forward_length", kWidthRange);
  return mixture;
}

Router load_router(WeightLoader& weights, const std::string& block, const MixtureShape& shape) {
  Router router;
  router.weight = weights.matrix(block + "ffn_gate_inp.weight", shape.experts, shape.hidden_width);
  router.chosen = shape.chosen;
  router.normalise = Router::Normalise::kYes;
  return router;
}

std::vector<GatedMlp> load_experts(WeightLoader& weights, const std::string& block, const MixtureShape& shape,
                                   const ExpertKind& kind) {
  const StackShape inward{.parts = shape.experts, .out = shape.intermediate_width, .in = shape.hidden_width};
  const StackShape outward{.parts = shape.experts, .out = shape.hidden_width, .in = shape.intermediate_width};
  const Stack gate = load_stack(weights, block + "ffn_gate", inward, kind.bias);
  const Stack up = load_stack(weights, block + "ffn_up", inward, kind.bias);
  const Stack down = load_stack(weights, block + "ffn_down", outward, kind.bias);
  std::vector<GatedMlp> experts;
  for (size_t i = 0; i < static_cast<size_t>(shape.experts); ++i) {
    experts.push_back({.gate = gate.weights[i],
                       .up = up.weights[i],
                       .down = down.weights[i],
                       .activation = kind.activation,
                       .gate_bias = bias_of(gate, i),
                       .up_bias = bias_of(up, i),
                       .down_bias = bias_of(down, i)});
  }
  return experts;
}

GatedMlp load_shared_expert(WeightLoader& weights, const std::string& block, int32_t hidden_width,
                            int32_t intermediate_width) {
  GatedMlp shared;
  shared.gate = weights.matrix(block + "ffn_gate_shexp.weight", intermediate_width, hidden_width);
  shared.up = weights.matrix(block + "ffn_up_shexp.weight", intermediate_width, hidden_width);
  shared.down = weights.matrix(block + "ffn_down_shexp.weight", hidden_width, intermediate_width);
  return shared;
}

}  // namespace megalith
