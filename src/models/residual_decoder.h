#pragma once
// The skeleton that decoders of several kinds of layers share: pre-norm residual layers, each of a part that mixes
// tokens (attention, a delta rule) and an MLP or a mixture of experts. A family's file says which.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/hyperparameters.h"
#include "models/model.h"
#include "models/weight_loader.h"
#include "ops/ops.h"

namespace megalith {

/// The part of a layer in which tokens look at each other. It holds its weights and knows its layer.
class TokenMixer {
 public:
  virtual ~TokenMixer() = default;
  /// `x` is normalised, [n_tokens, hidden]; so is the result's shape.
  virtual Tensor mix(Ops& ops, const Tensor& x) const = 0;
};

struct ResidualLayer {
  Weight mixer_norm;  // [1, hidden]
  std::unique_ptr<const TokenMixer> mixer;
  Weight mlp_norm;  // [1, hidden]
  std::variant<GatedMlp, Moe> mlp;
  // The state that the mixer keeps; either may have nothing.
  PagedKv kv;
  Recurrent recurrent;
};

/// Reads a file front to back: shape and embedding first, then the family adds its layers, then norm and head.
class ResidualDecoderLoader {
 public:
  /// Throws as load_model does; so do the others. `checkpoint` and `ops` must outlive it.
  ResidualDecoderLoader(std::string_view architecture, const Checkpoint& checkpoint, Ops& ops,
                        WindowPattern windows = {});

  const Checkpoint& checkpoint() const { return checkpoint_; }
  const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  const DecoderShape& shape() const { return shape_; }
  WeightLoader& weights() { return weights_; }

  /// Prefix of the next layer's tensors, "blk.7.".
  std::string next_block() const;
  int32_t next_layer() const { return static_cast<int32_t>(layers_.size()); }
  void add(ResidualLayer layer) { layers_.push_back(std::move(layer)); }
  std::unique_ptr<Model> finish();

 private:
  ModelProperties describe() const;

  std::string architecture_;
  const Checkpoint& checkpoint_;
  Hyperparameters hyperparameters_;
  DecoderShape shape_;
  WeightLoader weights_;
  Weight embedding_;  // [vocabulary, hidden]
  std::vector<ResidualLayer> layers_;
};

}  // namespace megalith
