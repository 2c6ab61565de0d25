#pragma once
// One layer made of all ops that hybrid and mixture-of-experts models need, on any Ops.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ops/ops.h"
#include "ops/synthetic.h"

namespace megalith::testing {

class HybridLayer {
 public:
  static constexpr int32_t kHidden = 64;
  static constexpr int32_t kKeyHeads = 2;
  static constexpr int32_t kValueHeads = 4;
  static constexpr int32_t kKeyWidth = 16;
  static constexpr int32_t kValueWidth = 24;
  static constexpr int32_t kKernel = 4;
  static constexpr int32_t kKeys = kKeyHeads * kKeyWidth;
  static constexpr int32_t kValues = kValueHeads * kValueWidth;
  static constexpr int32_t kChannels = 2 * kKeys + kValues;
  static constexpr int32_t kExperts = 8;
  static constexpr int32_t kChosen = 3;
  static constexpr int32_t kVocabulary = 40;
  static constexpr int32_t kSlots = 4;

  explicit HybridLayer(std::unique_ptr<Ops> ops) : ops_(std::move(ops)) {
    ops_->allocate_slots(layout(), kSlots);
    moe_.router = {.weight = matrix("router", kExperts, kHidden, Format::kF32),
                   .bias = {},
                   .selection_bias = vector("selection", kExperts, 0.0F),
                   .score = Router::Score::kSigmoid,
                   .chosen = kChosen,
                   .groups = 4,
                   .chosen_groups = 2,
                   .normalise = Router::Normalise::kYes,
                   .scale = 2.5F};
    for (int32_t e = 0; e < kExperts; ++e) moe_.experts.push_back(mlp(std::to_string(e)));
    moe_.shared = mlp("shared");
    moe_.shared_gate = matrix("shared gate", 1, kHidden, Format::kF32);
    delta_ = {.layer = 1,
              .key_heads = kKeyHeads,
              .order = GatedDelta::HeadOrder::kGrouped,
              .decay_rate = vector("decay", kValueHeads, 0.0F),
              .decay = GatedDelta::Decay::kLog,
              .time_bias = vector("time", kValueHeads, 0.0F),
              .scale = 0.25F};
  }

  /// Layer 0 keeps nothing, layer 1 does.
  static StateLayout layout() {
    return {.layers = {{}, {}},
            .kv_type = KvType::kF16,
            .recurrent = {{},
                          {.channels = kChannels,
                           .kernel = kKernel,
                           .heads = kValueHeads,
                           .key_width = kKeyWidth,
                           .value_width = kValueWidth}}};
  }

  Ops& ops() { return *ops_; }

  /// All values of the layer's output for the batch, [n_tokens, kHidden].
  std::vector<float> step(const Batch& batch) {
    ops_->begin_step(batch, nullptr);
    Tensor x = ops_->embed(matrix("table", kVocabulary, kHidden, Format::kF32));
    const Linear projections[] = {{matrix("qkv", kChannels, kHidden, Format::kQ8_0), {}},
                                  {matrix("a", kValueHeads, kHidden, Format::kF32), {}},
                                  {matrix("b", kValueHeads, kHidden, Format::kF32), {}},
                                  {matrix("z", kValues, kHidden, Format::kF16), {}}};
    const std::vector<Tensor> in = ops_->linear(x, projections);
    const Tensor mixed = ops_->short_conv(in[0], matrix("conv", kChannels, kKernel, Format::kF32), 1);
    const auto part = [&](int64_t begin, int64_t width) {
      return ops_->slice_columns(mixed, {.group_width = kChannels, .begin = begin, .width = width});
    };
    const GatedDeltaInputs inputs{.query = ops_->l2_norm(part(0, kKeys), kKeyWidth, 1e-6F),
                                  .key = ops_->l2_norm(part(kKeys, kKeys), kKeyWidth, 1e-6F),
                                  .value = part(2 * kKeys, kValues),
                                  .a = in[1],
                                  .b = in[2]};
    Tensor out = ops_->gate(ops_->gated_delta(inputs, delta_), in[3], GateFunction::kSilu);
    // [heads * value width] -> per head 16 wide, beside the head's keys: 4 * (16 + 16).
    const Tensor small = ops_->linear_per_head(out, matrix("heads", kValueHeads * 16, kValueWidth, Format::kF16));
    const Tensor keys = ops_->join_heads(inputs.key, inputs.query, 2);
    const Tensor joined = ops_->join_heads(small, keys, kValueHeads);
    x = ops_->add(x, ops_->linear_one(joined, matrix("o", kHidden, joined.columns, Format::kQ4_0)));
    x = ops_->scale(ops_->add(x, ops_->moe(x, moe_)), 0.5F);
    const std::span<const float> values = ops_->read(x);
    std::vector<float> result(values.begin(), values.end());
    ops_->end_step();
    return result;
  }

 private:
  GatedMlp mlp(const std::string& name) {
    return {.gate = matrix(name + " gate", 32, kHidden, Format::kQ8_0),
            .up = matrix(name + " up", 32, kHidden, Format::kQ8_0),
            .down = matrix(name + " down", kHidden, 32, Format::kMXFP4),
            .activation = name == "1" ? Activation::kClampedSwiglu : Activation::kSilu,
            .gate_bias = {},
            .up_bias = {},
            .down_bias = vector(name + " bias", kHidden, 0.1F)};
  }
  /// The same name gives the same values on every Ops.
  Weight matrix(const std::string& name, int64_t rows, int64_t columns, Format format) {
    SyntheticWeights& weights = storage_.emplace_back(seed(name));
    return ops_->adopt(weights.matrix(name, rows, columns, format, name == "table" ? 1.0F : 0.3F));
  }
  Weight vector(const std::string& name, int64_t columns, float centre) {
    SyntheticWeights& weights = storage_.emplace_back(seed(name));
    return ops_->adopt(weights.vector(name, columns, centre, 0.5F));
  }
  static uint64_t seed(std::string_view name) {
    uint64_t hash = 1469598103934665603ULL;
    for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
    return hash;
  }

  std::deque<SyntheticWeights> storage_;
  std::unique_ptr<Ops> ops_;
  Moe moe_;
  GatedDelta delta_;
};

/// `count` tokens of one sequence in `slot`, from `done` on.
inline Batch hybrid_batch(SlotId slot, int32_t done, int32_t count, int32_t seed = 7) {
  Batch batch;
  TestSequence sequence;
  sequence.done = done;
  for (int32_t i = 0; i < done + count; ++i) sequence.tokens.push_back((i * seed + 3) % HybridLayer::kVocabulary);
  add_slice(batch, sequence, count);
  batch.sequences.front().slot = slot;
  return batch;
}

/// All outputs of a sequence of `tokens` read in chunks.
inline std::vector<float> read_in_chunks(HybridLayer& layer, SlotId slot, int32_t tokens, int32_t chunk) {
  layer.ops().clear_slot(slot);
  std::vector<float> results;
  for (int32_t done = 0; done < tokens; done += chunk) {
    const std::vector<float> part = layer.step(hybrid_batch(slot, done, std::min(chunk, tokens - done)));
    results.insert(results.end(), part.begin(), part.end());
  }
  return results;
}

}  // namespace megalith::testing
