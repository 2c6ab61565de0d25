#include "models/grouped_attention.h"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace megalith {

namespace {

class GroupedAttentionMixer final : public TokenMixer {
 public:
  explicit GroupedAttentionMixer(GroupedAttention parts) : parts_(std::move(parts)) {}

  Tensor mix(Ops& ops, const Tensor& x) const override {
    const std::array<Linear, 3> projections{parts_.query, parts_.key, parts_.value};
    std::vector<Tensor> qkv = ops.linear(x, projections);
    const bool gated = parts_.gate == GroupedAttention::OutputGate::kBesideQuery;
    const int64_t width = parts_.key_width;
    Tensor query = gated ? ops.slice_columns(qkv[0], {.group_width = 2 * width, .begin = 0, .width = width}) : qkv[0];
    Tensor key = qkv[1];
    if (parts_.query_norm) query = ops.rms_norm(query, parts_.query_norm, parts_.epsilon);
    if (parts_.key_norm) key = ops.rms_norm(key, parts_.key_norm, parts_.epsilon);
    Tensor attended = ops.attention(ops.rope(query, parts_.rope), ops.rope(key, parts_.rope), qkv[2], parts_.attention);
    if (gated) {
      const Tensor gate = ops.slice_columns(qkv[0], {.group_width = 2 * width, .begin = width, .width = width});
      attended = ops.gate(attended, gate, GateFunction::kSigmoid);
    }
    return ops.linear_one(attended, parts_.output.weight, parts_.output.bias);
  }

 private:
  GroupedAttention parts_;
};

}  // namespace

std::unique_ptr<const TokenMixer> make_grouped_attention(GroupedAttention attention) {
  return std::make_unique<GroupedAttentionMixer>(std::move(attention));
}

GroupedAttention load_grouped_attention(ResidualDecoderLoader& loader, const GroupedAttentionTensors& tensors,
                                        const Rope& rope) {
  const DecoderShape& shape = loader.shape();
  const std::string block = loader.next_block();
  const int32_t hidden = shape.hidden_width;
  WeightLoader& weights = loader.weights();
  const bool gated = tensors.gate == GroupedAttention::OutputGate::kBesideQuery;
  GroupedAttention parts;
  parts.attention.layer = loader.next_layer();
  parts.attention.heads = shape.heads;
  parts.attention.scale = 1.0F / std::sqrt(static_cast<float>(shape.key_width));
  parts.key_width = shape.key_width;
  parts.gate = tensors.gate;
  parts.query = weights.linear(block + "attn_q", (gated ? 2 : 1) * shape.query_size(), hidden, tensors.bias);
  parts.key = weights.linear(block + "attn_k", shape.key_size(), hidden, tensors.bias);
  parts.value = weights.linear(block + "attn_v", shape.value_size(), hidden, tensors.bias);
  parts.output = weights.linear(block + "attn_output", hidden, shape.attended_size(), tensors.bias);
  if (tensors.norms == HeadNorms::kQueryAndKey) {
    parts.query_norm = weights.vector(block + "attn_q_norm.weight", shape.key_width);
    parts.key_norm = weights.vector(block + "attn_k_norm.weight", shape.key_width);
  }
  parts.epsilon = shape.epsilon;
  parts.rope = rope;
  return parts;
}

PagedKv grouped_kv(const DecoderShape& shape, int32_t layer) {
  return {.kv_heads = shape.kv_heads,
          .key_width = shape.key_width,
          .value_width = shape.value_width,
          .window = shape.windows[static_cast<size_t>(layer)]};
}

}  // namespace megalith
