#pragma once
// Mixtures of experts under their GGUF names: ffn_gate_inp routes, ffn_{gate,up,down}_exps are stacks of the experts'
// matrices, ffn_{gate,up,down}_shexp the expert that every token passes.
#include <cstdint>
#include <string>

#include "models/hyperparameters.h"
#include "models/weight_loader.h"
#include "ops/ops.h"

namespace megalith {

struct MixtureShape {
  int32_t hidden_width = 0;
  int32_t experts = 0;
  int32_t chosen = 0;              // for each token, at most `experts`
  int32_t intermediate_width = 0;  // of one expert
};

MixtureShape read_mixture_shape(const Hyperparameters& hyperparameters, const DecoderShape& shape);

/// The router's weight, without a bias: softmax over all experts, the chosen scores normalised. Families change the
/// rest.
Router load_router(WeightLoader& weights, const std::string& block, const MixtureShape& shape);

/// What all experts of a family have in common.
struct ExpertKind {
  Activation activation = Activation::kSilu;
  Bias bias = Bias::kNone;
};

std::vector<GatedMlp> load_experts(WeightLoader& weights, const std::string& block, const MixtureShape& shape,
                                   const ExpertKind& kind);

/// ffn_{gate,up,down}_shexp, `intermediate_width` wide.
GatedMlp load_shared_expert(WeightLoader& weights, const std::string& block, int32_t hidden_width,
                            int32_t intermediate_width);

}  // namespace megalith
