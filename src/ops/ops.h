#pragma once
// The semantic operations that models are written in. A model's forward pass reads like its paper: no pointers, no
// strides, no backend. Tensors and weights are opaque handles that belong to one device; a backend computes at once
// (CPU) or queues (others). Every op has a scalar reference (reference.h), the oracle of all backends.
//
// Contract P3 (DESIGN.md section 5): the value of a row depends only on that row's sequence, never on its neighbours in
// the batch, the chunking of its prompt or the number of threads.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cost_meter.h"
#include "files/checkpoint.h"

namespace megalith {

using PageId = int32_t;
using SlotId = int32_t;

/// Positions per KV page; page i of a sequence holds positions [64 i, 64 i + 64). Also the size of an attention chunk.
inline constexpr int kPageTokens = 64;
/// Chunks of one span are merged first, then spans, both left to right: a fixed tree over absolute positions.
inline constexpr int kSpanTokens = 1024;

/// Keeps the values of tensors; told by their handles when nobody needs one any more, so that a step's memory is that
/// of the tensors alive at once, not of all it ever made.
class TensorOwner {
 public:
  virtual void retain(int32_t id, uint32_t step) noexcept = 0;
  /// Handles of earlier steps may still come: their tensors are gone already.
  virtual void release(int32_t id, uint32_t step) noexcept = 0;

 protected:
  ~TensorOwner() = default;
};

/// A float32 value of the current step, [rows, columns]: a handle, copied freely. The value lives as long as a handle
/// to it, at most until the next begin_step. Handles must not outlive their Ops.
class Tensor {
 public:
  Tensor() = default;
  /// The first handle of a new tensor: its owner counts it already.
  Tensor(TensorOwner& owner, int32_t id, uint32_t step, int64_t n_rows, int64_t n_columns)
      : rows(n_rows), columns(n_columns), owner_(&owner), id_(id), step_(step) {}
  Tensor(const Tensor& other) noexcept
      : rows(other.rows), columns(other.columns), owner_(other.owner_), id_(other.id_), step_(other.step_) {
    if (owner_ != nullptr) owner_->retain(id_, step_);
  }
  Tensor(Tensor&& other) noexcept
      : rows(other.rows),
        columns(other.columns),
        owner_(std::exchange(other.owner_, nullptr)),
        id_(other.id_),
        step_(other.step_) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(rows, other.rows);
    std::swap(columns, other.columns);
    std::swap(owner_, other.owner_);
    std::swap(id_, other.id_);
    std::swap(step_, other.step_);
    return *this;
  }
  ~Tensor() {
    if (owner_ != nullptr) owner_->release(id_, step_);
  }

  int64_t rows = 0;
  int64_t columns = 0;

  /// For backends.
  int32_t id() const { return id_; }
  uint32_t step() const { return step_; }

 private:
  TensorOwner* owner_ = nullptr;
  int32_t id_ = -1;
  uint32_t step_ = 0;
};

/// An adopted weight [rows (out), columns (in)]; lives as long as its Ops. An absent weight has id -1.
struct Weight {
  int64_t rows = 0;
  int64_t columns = 0;
  int32_t id = -1;
  explicit operator bool() const { return id >= 0; }
};

/// The state that one attention layer keeps for each token. A layer without attention has kv_heads 0.
struct PagedKv {
  enum class Values {
    kOwn,
    kPrefixOfKey,  // a value is the first value_width floats of its key and is not kept twice (latent attention)
  };
  int32_t kv_heads = 0;
  int32_t key_width = 0;    // floats of one head's key
  int32_t value_width = 0;  // floats of one head's value
  int32_t window = 0;       // a query sees the last `window` positions, its own among them; 0: all
  Values values = Values::kOwn;

  /// Floats of one head's value that are kept beside its key.
  int32_t stored_value_width() const { return values == Values::kOwn ? value_width : 0; }
};

/// The state that one recurrent layer keeps for each sequence, whatever its length: the last inputs of a causal
/// convolution and the matrices of a delta rule. A layer without it has none of either.
struct Recurrent {
  int32_t channels = 0;  // of the convolution
  int32_t kernel = 0;    // its width in tokens; kernel - 1 inputs are kept
  int32_t heads = 0;     // of the delta rule, one matrix [key_width, value_width] each
  int32_t key_width = 0;
  int32_t value_width = 0;

  int64_t convolution_floats() const { return kernel > 0 ? int64_t{channels} * (kernel - 1) : 0; }
  int64_t delta_floats() const { return int64_t{heads} * key_width * value_width; }
};

enum class KvType { kF16 };

/// What all layers together keep; layer i of the model is entry i.
struct StateLayout {
  std::vector<PagedKv> layers;
  KvType kv_type = KvType::kF16;
  std::vector<Recurrent> recurrent{};  // [layers], or empty where no layer is recurrent

  uint64_t page_bytes() const;  // of all layers
  uint64_t slot_bytes() const;  // of all recurrent layers, float32; 0 where there are none
};

/// Consecutive tokens of one sequence in a batch.
struct SequenceSlice {
  int32_t first_row = 0;       // of the batch's tokens
  int32_t n_tokens = 0;        // >= 1
  int32_t first_position = 0;  // of the first of them in its sequence
  std::vector<PageId> pages;   // logical page order; covers positions [0, first_position + n_tokens)
  SlotId slot = -1;            // of its recurrent state; -1 where the model keeps none
};

/// The work of one step.
struct Batch {
  std::vector<int32_t> tokens;           // [n_tokens]
  std::vector<int32_t> positions;        // [n_tokens]
  std::vector<SequenceSlice> sequences;  // disjoint, covering all rows in order
  std::vector<int32_t> output_rows;      // rows whose logits are wanted, ascending
};

/// One weight of a linear op, with its optional bias [1, out].
struct Linear {
  Weight weight;
  Weight bias;
};

enum class Activation {
  kSilu,      // silu(gate) * up
  kGeluTanh,  // gelu(gate) * up, the tanh form
  /// gpt-oss: g = min(gate, 7), u = clamp(up, -7, 7): g * sigmoid(1.702 g) * (u + 1)
  kClampedSwiglu,
};

struct GatedMlp {
  Weight gate;  // [intermediate, hidden]
  Weight up;    // [intermediate, hidden]
  Weight down;  // [hidden, intermediate]
  Activation activation = Activation::kSilu;
  Weight gate_bias;  // [1, intermediate] or absent, like the next two: what each product's linear adds
  Weight up_bias;    // [1, intermediate]
  Weight down_bias;  // [1, hidden]
};

/// How a mixture of experts chooses. All scores are float32; ties go to the lower index.
struct Router {
  enum class Score {
    kSoftmax,          // over all experts (Qwen, Mixtral, DeepSeek-V2)
    kSigmoid,          // each for itself (DeepSeek-V3)
    kSoftmaxOfChosen,  // chosen by the raw scores, then softmax over those (gpt-oss)
  };
  enum class Normalise { kNo, kYes };
  Weight weight;          // [experts, hidden]
  Weight bias;            // [1, experts] or absent: part of the raw scores (gpt-oss)
  Weight selection_bias;  // [1, experts] or absent: added to the scores for choosing only (DeepSeek-V3)
  Score score = Score::kSoftmax;
  int32_t chosen = 0;  // experts for each token
  /// Experts come in groups of equal size; only those of the best `chosen_groups` groups may be chosen. A group is
  /// worth the sum of its two best (score + selection bias).
  int32_t groups = 1;
  int32_t chosen_groups = 1;
  Normalise normalise = Normalise::kNo;  // whether the chosen scores are divided by their sum
  float scale = 1.0F;                    // multiplies them after that
};

/// A mixture of experts: the outputs of the chosen ones, weighted by their scores, added in rank order; the shared
/// expert, which every token passes, last.
struct Moe {
  Router router;
  std::vector<GatedMlp> experts;
  std::optional<GatedMlp> shared;
  Weight shared_gate;  // [1, hidden] or absent: the shared expert times sigmoid(x . shared_gate)
};

/// The gated delta rule (Yang et al., Gated Delta Networks) in its recurrent form. Value head h uses the keys and
/// queries of key head h / (value heads / key heads), or of h % key heads.
struct GatedDelta {
  enum class HeadOrder { kGrouped, kTiled };
  enum class Decay {
    kLog,           // the file keeps ln A
    kNegativeRate,  // the file keeps -A
  };
  int32_t layer = 0;  // whose recurrent state it is
  int32_t key_heads = 0;
  HeadOrder order = HeadOrder::kGrouped;
  Weight decay_rate;  // [1, value heads]: A of the decay exp(-A softplus(a + time_bias)), as `decay` says
  Decay decay = Decay::kLog;
  Weight time_bias;    // [1, value heads]
  float scale = 1.0F;  // of the queries
};

/// The inputs of a gated delta rule, all [n_tokens, ...]. Queries and keys are normalised already.
struct GatedDeltaInputs {
  Tensor query;  // [key heads * key_width]
  Tensor key;    // [key heads * key_width]
  Tensor value;  // [value heads * value_width]
  Tensor a;      // [value heads]: before its bias and softplus
  Tensor b;      // [value heads]: beta is its sigmoid
};

/// Columns [begin, begin + width) of each group of `group_width` columns.
struct ColumnSlice {
  int64_t group_width = 0;
  int64_t begin = 0;
  int64_t width = 0;
};

enum class GateFunction { kSigmoid, kSilu };

enum class RopeStyle {
  kHalves,       // pairs (i, i + rotary/2): Hugging Face, NEOX
  kInterleaved,  // pairs (2i, 2i + 1): GGUF files of the Llama family, whose Q and K rows are permuted so
};

/// Rotary embedding. Every scaling in use (linear, Llama 3, YaRN, longrope) is a choice of frequencies and magnitude.
struct Rope {
  RopeStyle style = RopeStyle::kHalves;
  int32_t head_width = 0;
  std::vector<float> inverse_frequencies;  // [rotary width / 2]; dimensions past the rotary width pass through
  float magnitude = 1.0F;                  // multiplies sin and cos (YaRN's attention factor)
};

struct Attention {
  int32_t layer = 0;   // whose KV to append to and read
  int32_t heads = 0;   // query heads; a multiple of the layer's kv heads
  float scale = 0.0F;  // of q . k
  Weight sinks{};      // [1, heads] or absent: one more score of each head's softmax, without a value (gpt-oss)
};

class Ops {
 public:
  virtual ~Ops() = default;

  // ---- Weights, while loading -------------------------------------------------------------------------------------
  /// Adopts a weight where it lies if the backend can, by upload or repacking where it must. The checkpoint must
  /// outlive the Ops. Throws kDoesNotFit or kInvalidModel.
  virtual Weight adopt(const NamedWeight& weight) = 0;

  // ---- State ------------------------------------------------------------------------------------------------------
  /// Makes room for `n_pages` KV pages of this layout, reserved in the ledger first (kDoesNotFit). Once per Ops.
  virtual void allocate_state(const StateLayout& layout, int64_t n_pages) = 0;
  /// Zeroes a page before it is given to a sequence, so that nothing of an earlier one can reach it.
  virtual void clear_page(PageId page) = 0;
  virtual void copy_page(PageId from, PageId to) = 0;
  /// Page contents as bytes that only the same backend, layout and numerics version can read back.
  virtual void save_page(PageId page, std::span<std::byte> out) const = 0;
  virtual void restore_page(PageId page, std::span<const std::byte> in) = 0;
  /// Makes room for the recurrent state of `n_slots` sequences (kDoesNotFit). Once, and only for
  /// layouts that have such state. What copy_page is to pages, copy_slot is to slots: a snapshot is a slot of its own.
  virtual void allocate_slots(const StateLayout& layout, int64_t n_slots) = 0;
  /// The state of a sequence that has read nothing.
  virtual void clear_slot(SlotId slot) = 0;
  virtual void copy_slot(SlotId from, SlotId to) = 0;
  virtual void save_slot(SlotId slot, std::span<std::byte> out) const = 0;
  virtual void restore_slot(SlotId slot, std::span<const std::byte> in) = 0;

  // ---- A step -----------------------------------------------------------------------------------------------------
  /// Starts a step; tensors of the step before are gone. `batch` must live until end_step. `meter` may be null.
  virtual void begin_step(const Batch& batch, CostMeter* meter) = 0;
  /// Waits for the step and throws kRuntime naming the first op and weight that met a non-finite value (NaN or
  /// infinity) where one is an error: an input of a quantised weight, or a logit.
  virtual void end_step() = 0;

  /// Rows of `table` for the batch's tokens: [n_tokens, table.columns]. Token ids are checked by the engine.
  virtual Tensor embed(Weight table) = 0;
  /// x / sqrt(mean(x^2) + eps) * gain over groups of gain.columns (the whole row, or each head of it).
  virtual Tensor rms_norm(Tensor x, Weight gain, float epsilon) = 0;
  /// y[i] = x W[i]^T + b[i] for several weights on one input (quantised once).
  virtual std::vector<Tensor> linear(Tensor x, std::span<const Linear> weights) = 0;
  /// down(activation(gate(x)) * up(x)).
  virtual Tensor gated_mlp(Tensor x, const GatedMlp& mlp) = 0;
  /// Head h of the result is head h of x [n, heads * in] times rows [h * out, (h + 1) * out) of the weight
  /// [heads * out, in], transposed.
  virtual Tensor linear_per_head(Tensor x, Weight weight) = 0;
  virtual Tensor moe(Tensor x, const Moe& moe) = 0;
  /// Rotates each head of x by its token's position, in place: x's other handles see the new values.
  virtual Tensor rope(Tensor x, const Rope& rope) = 0;
  /// Appends k and v [n_tokens, kv_heads * width] to the layer's KV, then causal softmax(q k^T * scale) v over each
  /// sequence, everything read back at cache precision: [n_tokens, heads * value_width]. Without values of its own (v
  /// has no rows) where the layer's values are prefixes of its keys.
  virtual Tensor attention(Tensor q, Tensor k, Tensor v, const Attention& attention) = 0;
  /// silu of a causal depthwise convolution along the tokens of each sequence: out[t, c] = silu(sum over j of
  /// kernel[c, j] * x[t - width + 1 + j, c]), the layer's state holding what came before.
  virtual Tensor short_conv(Tensor x, Weight kernel, int32_t layer) = 0;
  /// For each token and value head, S the head's matrix [key_width, value_width], zero at first:
  ///   S = exp(-A softplus(a + time_bias)) S;  S = S + k (x) (sigmoid(b) (v - k S));  out = (scale q) S
  /// [n_tokens, value heads * value_width].
  virtual Tensor gated_delta(const GatedDeltaInputs& inputs, const GatedDelta& delta) = 0;
  /// x / sqrt(sum(x^2) + eps) over groups of `width` columns.
  virtual Tensor l2_norm(Tensor x, int64_t width, float epsilon) = 0;
  /// x * f(by), in place: x's other handles see the result.
  virtual Tensor gate(Tensor x, Tensor by, GateFunction function) = 0;
  /// x * factor, in place.
  virtual Tensor scale(Tensor x, float factor) = 0;
  virtual Tensor slice_columns(Tensor x, const ColumnSlice& slice) = 0;
  /// Head by head: [a's head 0, b's head 0, a's head 1, ...].
  virtual Tensor join_heads(Tensor a, Tensor b, int32_t heads) = 0;
  /// a + b, in place: a's other handles see the sum.
  virtual Tensor add(Tensor a, Tensor b) = 0;
  virtual Tensor gather_rows(Tensor x, std::span<const int32_t> rows) = 0;
  /// Scores of the vocabulary, [x.rows, head.rows].
  virtual Tensor logits(Tensor x, Weight head) = 0;

  /// The values of a tensor, row-major; waits for them. Valid as long as a handle to the tensor, at most until the next
  /// begin_step.
  virtual std::span<const float> read(Tensor x) = 0;

  // ---- What it is -------------------------------------------------------------------------------------------------
  struct Properties {
    std::string backend;          // "cpu"
    std::string instruction_set;  // "avx512", ...
    int threads = 1;
    bool batch_invariant = true;  // P3 holds
  };
  virtual Properties properties() const = 0;

  Tensor linear_one(Tensor x, Weight weight, Weight bias = {}) {
    const Linear one{weight, bias};
    return linear(x, std::span(&one, 1)).front();
  }
};

}  // namespace megalith
