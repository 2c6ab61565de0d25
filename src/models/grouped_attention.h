#pragma once
// Grouped-query attention (Ainslie et al.) as a part of a residual layer, with what families add to it: norms of the
// queries and keys, sinks, a gate on its output.
#include <string>

#include "models/residual_decoder.h"
#include "ops/ops.h"

namespace megalith {

struct GroupedAttention {
  /// Where the output's gate comes from (Qiu et al., Gated Attention for Large Language Models).
  enum class OutputGate {
    kNone,
    kBesideQuery,  // the query projection gives each head [query, gate], both key_width wide
  };
  Attention attention;
  int32_t key_width = 0;
  OutputGate gate = OutputGate::kNone;
  Linear query;       // [heads * key_width, hidden], twice as many rows with a gate
  Linear key;         // [kv_heads * key_width, hidden]
  Linear value;       // [kv_heads * value_width, hidden]
  Linear output;      // [hidden, heads * value_width]
  Weight query_norm;  // [1, key_width] or absent
  Weight key_norm;    // [1, key_width] or absent
  float epsilon = 0.0F;
  Rope rope;
};

std::unique_ptr<const TokenMixer> make_grouped_attention(GroupedAttention attention);

enum class HeadNorms { kNone, kQueryAndKey };

/// What a family's attention tensors are, besides attn_q, attn_k, attn_v and attn_output.
struct GroupedAttentionTensors {
  Bias bias = Bias::kNone;
  HeadNorms norms = HeadNorms::kNone;  // attn_q_norm, attn_k_norm
  GroupedAttention::OutputGate gate = GroupedAttention::OutputGate::kNone;
};

/// Reads the next layer's. Scores are divided by the square root of a key's width.
GroupedAttention load_grouped_attention(ResidualDecoderLoader& loader, const GroupedAttentionTensors& tensors,
                                        const Rope& rope);

/// The KV that such a layer keeps.
PagedKv grouped_kv(const DecoderShape& shape, int32_t layer);

}  // namespace megalith
