#include "ops/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "ops/copy_columns.h"
#include "ops/cost.h"
#include "ops/finite_check.h"
#include "ops/reference_arithmetic.h"
#include "ops/weight_table.h"

namespace megalith {

namespace {

/// Values of one layer in one page: keys [kv_heads][64][key_width] and values [kv_heads][64][stored_value_width].
struct LayerPage {
  std::vector<float> keys;
  std::vector<float> values;
};
using Page = std::vector<LayerPage>;
using reference::AttentionView;

class ReferenceOps final : public Ops, private TensorOwner {
 public:
  ReferenceOps(Ledger& ledger, ReferenceNumerics numerics)
      : ledger_(ledger),
        numerics_(numerics),
        arithmetic_(numerics == ReferenceNumerics::kContract ? reference::make_contract_arithmetic()
                                                             : reference::make_exact_arithmetic()) {}

  Weight adopt(const NamedWeight& weight) override {
    if (!weights_.contains(weight.name)) {
      weight_reservations_.push_back(ledger_.reserve("weights (mapped)", weight.view.bytes()));
    }
    return weights_.adopt(weight);
  }

  void allocate_state(const StateLayout& layout, int64_t n_pages) override {
    layout_ = layout;
    state_reservation_ = ledger_.reserve("KV pages", static_cast<uint64_t>(n_pages) * layout.page_bytes() * 2);
    pages_.resize(static_cast<size_t>(n_pages));
  }

  void clear_page(PageId page) override {
    Page& cleared = pages_[static_cast<size_t>(page)];
    cleared.clear();
    for (const PagedKv& layer : layout_.layers) {
      const auto positions = static_cast<size_t>(layer.kv_heads) * kPageTokens;
      cleared.push_back({std::vector<float>(positions * static_cast<size_t>(layer.key_width)),
                         std::vector<float>(positions * static_cast<size_t>(layer.stored_value_width()))});
    }
  }

  void copy_page(PageId from, PageId to) override {
    pages_[static_cast<size_t>(to)] = pages_[static_cast<size_t>(from)];
  }

  void save_page(PageId page, std::span<std::byte> out) const override {
    check_page_size(out.size());
    for (const LayerPage& layer : pages_[static_cast<size_t>(page)]) {
      out = save_values(layer.keys, out);
      out = save_values(layer.values, out);
    }
  }

  void restore_page(PageId page, std::span<const std::byte> in) override {
    check_page_size(in.size());
    clear_page(page);
    for (LayerPage& layer : pages_[static_cast<size_t>(page)]) {
      in = restore_values(in, layer.keys);
      in = restore_values(in, layer.values);
    }
  }

  void allocate_slots(const StateLayout& layout, int64_t n_slots) override {
    slot_layout_ = SlotLayout(layout);
    slot_reservation_ = ledger_.reserve("recurrent state", static_cast<uint64_t>(n_slots) * layout.slot_bytes());
    slots_.assign(static_cast<size_t>(n_slots), std::vector<float>(static_cast<size_t>(slot_layout_.floats())));
  }
  void clear_slot(SlotId slot) override { std::ranges::fill(slots_[static_cast<size_t>(slot)], 0.0F); }
  void copy_slot(SlotId from, SlotId to) override {
    slots_[static_cast<size_t>(to)] = slots_[static_cast<size_t>(from)];
  }
  void save_slot(SlotId slot, std::span<std::byte> out) const override {
    check_slot_size(out.size());
    std::memcpy(out.data(), slots_[static_cast<size_t>(slot)].data(), out.size());
  }
  void restore_slot(SlotId slot, std::span<const std::byte> in) override {
    check_slot_size(in.size());
    std::memcpy(slots_[static_cast<size_t>(slot)].data(), in.data(), in.size());
  }

  void begin_step(const Batch& batch, CostMeter* meter) override {
    batch_ = &batch;
    meter_ = meter;
    ++step_;
    tensors_.clear();
    finite_.clear();
  }

  void end_step() override {
    batch_ = nullptr;
    finite_.throw_if_any();
  }

  Tensor embed(Weight table) override {
    const WeightView& view = weights_.view(table);
    const auto n_tokens = static_cast<int64_t>(batch_->tokens.size());
    const uint64_t row_bytes = view.bytes() / static_cast<uint64_t>(view.rows);
    MeteredScope scope(meter_, "embed", cost::embed(row_bytes, n_tokens));
    Tensor out = make_tensor(n_tokens, table.columns);
    for (int64_t r = 0; r < n_tokens; ++r) {
      format_info(view.format).decode(view, batch_->tokens[static_cast<size_t>(r)], 0, row(out, r));
    }
    return out;
  }

  Tensor rms_norm(Tensor x, Weight gain, float epsilon) override {
    MeteredScope scope(meter_, "rms_norm", cost::elementwise(weights_.bytes(gain)));
    Tensor out = make_tensor(x.rows, x.columns);
    const auto width = static_cast<size_t>(gain.columns);
    const std::span<const float> in = values(x);
    for (size_t i = 0; i < in.size(); i += width) {
      arithmetic_->rms_norm(in.subspan(i, width), weights_.entry(gain).vector, epsilon, values(out).subspan(i, width));
    }
    return out;
  }

  std::vector<Tensor> linear(Tensor x, std::span<const Linear> linears) override {
    std::vector<Tensor> results;
    for (const Linear& one : linears) results.push_back(multiply("linear", x, one));
    return results;
  }

  Tensor gated_mlp(Tensor x, const GatedMlp& mlp) override { return run_mlp("gated_mlp", x, mlp); }

  Tensor linear_per_head(Tensor x, Weight weight) override {
    const WeightView& view = weights_.view(weight);
    const int64_t heads = x.columns / weight.columns;
    const int64_t out_width = weight.rows / heads;
    MeteredScope scope(meter_, "linear_per_head", cost::linear(view.bytes(), weight.rows, weight.columns, x.rows));
    Tensor out = make_tensor(x.rows, weight.rows);
    for (int64_t head = 0; head < heads; ++head) {
      const WeightView part = slice_rows(view, head * out_width, out_width);
      for (int64_t r = 0; r < x.rows; ++r) {
        const auto in =
            row(x, r).subspan(static_cast<size_t>(head * weight.columns), static_cast<size_t>(weight.columns));
        const auto result = row(out, r).subspan(static_cast<size_t>(head * out_width), static_cast<size_t>(out_width));
        if (!arithmetic_->linear(part, nullptr, in, result)) {
          finite_.note_activations("linear_per_head", weights_.name(weight));
        }
      }
    }
    return out;
  }

  Tensor moe(Tensor x, const Moe& moe) override {
    const Tensor raw = multiply("moe", x, {moe.router.weight, moe.router.bias});
    std::vector<std::vector<Choice>> choices;
    for (int64_t r = 0; r < x.rows; ++r) {
      choices.push_back(arithmetic_->route(moe.router, row(raw, r), weights_.vector(moe.router.selection_bias)));
    }
    // Each expert's outputs for all its tokens first, then each token's sum in rank order.
    const int64_t chosen = moe.router.chosen;
    const Tensor outputs = make_tensor(x.rows * chosen, x.columns);
    const std::vector<ExpertRows> experts = rows_of_experts(choices, moe.experts.size());
    for (size_t e = 0; e < experts.size(); ++e) {
      if (experts[e].tokens.empty()) continue;
      const Tensor results = run_mlp("moe", gather(x, experts[e].tokens), moe.experts[e]);
      for (size_t i = 0; i < experts[e].tokens.size(); ++i) {
        const int64_t to = experts[e].tokens[i] * chosen + experts[e].ranks[i];
        std::ranges::copy(row(results, static_cast<int64_t>(i)), row(outputs, to).begin());
      }
    }
    Tensor out = make_tensor(x.rows, x.columns);
    for (int64_t r = 0; r < x.rows; ++r) {
      const std::vector<Choice>& mix = choices[static_cast<size_t>(r)];
      for (size_t rank = 0; rank < mix.size(); ++rank) {
        add_product(mix[rank].weight, row(outputs, r * chosen + static_cast<int64_t>(rank)), row(out, r));
      }
    }
    if (moe.shared) add_shared(x, *moe.shared, moe.shared_gate, out);
    return out;
  }

  Tensor rope(Tensor x, const Rope& rope) override {
    MeteredScope scope(meter_, "rope", cost::elementwise(0));
    const auto pairs = static_cast<int64_t>(rope.inverse_frequencies.size());
    for (int64_t r = 0; r < x.rows; ++r) {
      const auto position = static_cast<float>(batch_->positions[static_cast<size_t>(r)]);
      for (int64_t head = 0; head < x.columns; head += rope.head_width) {
        for (int64_t i = 0; i < pairs; ++i) {
          const bool halves = rope.style == RopeStyle::kHalves;
          float& first = row(x, r)[static_cast<size_t>(head + (halves ? i : 2 * i))];
          float& second = row(x, r)[static_cast<size_t>(head + (halves ? i + pairs : 2 * i + 1))];
          const float angle = position * rope.inverse_frequencies[static_cast<size_t>(i)];
          arithmetic_->rotate(angle, rope.magnitude, first, second);
        }
      }
    }
    return x;
  }

  Tensor attention(Tensor q, Tensor k, Tensor v, const Attention& attention) override {
    const PagedKv& layer = layout_.layers[static_cast<size_t>(attention.layer)];
    MeteredScope scope(meter_, "attention", cost::attention(layer, attention.heads, *batch_));
    Tensor out = make_tensor(q.rows, static_cast<int64_t>(attention.heads) * layer.value_width);
    for (const SequenceSlice& sequence : batch_->sequences) {
      append(sequence, attention.layer, k, v);
      attend(sequence, attention, q, out);
    }
    return out;
  }

  Tensor short_conv(Tensor x, Weight kernel, int32_t layer) override {
    const WeightView& view = weights_.view(kernel);
    MeteredScope scope(meter_, "short_conv", cost::short_conv(slot_layout_.layer(layer), view.bytes(), *batch_));
    std::vector<float> decoded(static_cast<size_t>(view.rows * view.columns));
    for (int64_t r = 0; r < view.rows; ++r) {
      const auto width = static_cast<size_t>(view.columns);
      format_info(view.format).decode(view, r, 0, std::span(decoded).subspan(static_cast<size_t>(r) * width, width));
    }
    Tensor out = make_tensor(x.rows, x.columns);
    for (const SequenceSlice& sequence : batch_->sequences) {
      arithmetic_->short_conv({.x = row(x, sequence.first_row).data(),
                               .kernel = decoded.data(),
                               .state = slot(sequence) + slot_layout_.convolution(layer),
                               .out = row(out, sequence.first_row).data(),
                               .n_tokens = sequence.n_tokens,
                               .channels = x.columns,
                               .width = view.columns});
    }
    return out;
  }

  Tensor gated_delta(const GatedDeltaInputs& inputs, const GatedDelta& delta) override {
    const Recurrent& layer = slot_layout_.layer(delta.layer);
    MeteredScope scope(meter_, "gated_delta", cost::gated_delta(layer, *batch_));
    Tensor out = make_tensor(inputs.value.rows, inputs.value.columns);
    const DeltaTensors tensors{.query = values(inputs.query).data(),
                               .key = values(inputs.key).data(),
                               .value = values(inputs.value).data(),
                               .a = values(inputs.a).data(),
                               .b = values(inputs.b).data(),
                               .out = values(out).data(),
                               .decay_rate = weights_.vector(delta.decay_rate),
                               .time_bias = weights_.vector(delta.time_bias)};
    for (const SequenceSlice& sequence : batch_->sequences) {
      float* state = slot(sequence) + slot_layout_.delta(delta.layer);
      for (int32_t head = 0; head < layer.heads; ++head) {
        arithmetic_->gated_delta(delta_run(delta, layer, tensors, sequence, head, state));
      }
    }
    return out;
  }

  Tensor l2_norm(Tensor x, int64_t width, float epsilon) override {
    MeteredScope scope(meter_, "l2_norm", cost::elementwise(0));
    Tensor out = make_tensor(x.rows, x.columns);
    const std::span<const float> in = values(x);
    const auto step = static_cast<size_t>(width);
    for (size_t i = 0; i < in.size(); i += step) {
      arithmetic_->l2_norm(in.subspan(i, step), epsilon, values(out).subspan(i, step));
    }
    return out;
  }

  Tensor gate(Tensor x, Tensor by, GateFunction function) override {
    MeteredScope scope(meter_, "gate", cost::elementwise(0));
    const std::span<float> gated = values(x);
    const std::span<const float> gates = values(by);
    for (size_t i = 0; i < gated.size(); ++i) gated[i] = arithmetic_->gate(function, gated[i], gates[i]);
    return x;
  }

  Tensor scale(Tensor x, float factor) override {
    MeteredScope scope(meter_, "scale", cost::elementwise(0));
    for (float& value : values(x)) value = value * factor;
    return x;
  }

  Tensor slice_columns(Tensor x, const ColumnSlice& slice) override {
    MeteredScope scope(meter_, "slice_columns", cost::elementwise(0));
    const int64_t groups = x.columns / slice.group_width;
    Tensor out = make_tensor(x.rows, groups * slice.width);
    copy_columns(values(x).data() + slice.begin, slice.group_width, values(out).data(), slice.width,
                 {.n = x.rows * groups, .width = slice.width});
    return out;
  }

  Tensor join_heads(Tensor a, Tensor b, int32_t heads) override {
    MeteredScope scope(meter_, "join_heads", cost::elementwise(0));
    const int64_t left = a.columns / heads;
    const int64_t right = b.columns / heads;
    Tensor out = make_tensor(a.rows, a.columns + b.columns);
    float* to = values(out).data();
    copy_columns(values(a).data(), left, to, left + right, {.n = a.rows * heads, .width = left});
    copy_columns(values(b).data(), right, to + left, left + right, {.n = a.rows * heads, .width = right});
    return out;
  }

  Tensor add(Tensor a, Tensor b) override {
    MeteredScope scope(meter_, "add", cost::elementwise(0));
    const std::span<float> left = values(a);
    const std::span<const float> right = values(b);
    for (size_t i = 0; i < left.size(); ++i) left[i] = left[i] + right[i];
    return a;
  }

  Tensor gather_rows(Tensor x, std::span<const int32_t> rows) override {
    MeteredScope scope(meter_, "gather_rows", cost::elementwise(0));
    return gather(x, rows);
  }

  Tensor logits(Tensor x, Weight head) override {
    Tensor out = multiply("logits", x, {head, {}});
    if (!std::ranges::all_of(values(out), [](float value) { return std::isfinite(value); })) {
      finite_.note_logits(weights_.name(head));
    }
    return out;
  }

  std::span<const float> read(Tensor x) override { return values(x); }

  Properties properties() const override {
    return {.backend = "reference",
            .instruction_set = numerics_ == ReferenceNumerics::kContract ? "contract" : "exact",
            .threads = 1,
            .batch_invariant = true};
  }

 private:
  struct StoredTensor {
    std::vector<float> values;
    int32_t handles = 1;
  };

  void retain(int32_t id, uint32_t step) noexcept override {
    if (step == step_) ++tensors_[static_cast<size_t>(id)].handles;
  }
  void release(int32_t id, uint32_t step) noexcept override {
    if (step != step_) return;
    StoredTensor& tensor = tensors_[static_cast<size_t>(id)];
    if (--tensor.handles == 0) std::vector<float>().swap(tensor.values);
  }

  Tensor make_tensor(int64_t rows, int64_t columns) {
    tensors_.push_back({std::vector<float>(static_cast<size_t>(rows * columns))});
    return {*this, static_cast<int32_t>(tensors_.size() - 1), step_, rows, columns};
  }
  std::span<float> values(const Tensor& x) { return tensors_[static_cast<size_t>(x.id())].values; }
  std::span<float> row(const Tensor& x, int64_t r) {
    return values(x).subspan(static_cast<size_t>(r * x.columns), static_cast<size_t>(x.columns));
  }

  Tensor gather(const Tensor& x, std::span<const int32_t> rows) {
    Tensor out = make_tensor(static_cast<int64_t>(rows.size()), x.columns);
    for (size_t r = 0; r < rows.size(); ++r) {
      std::ranges::copy(row(x, rows[r]), row(out, static_cast<int64_t>(r)).begin());
    }
    return out;
  }

  Tensor run_mlp(std::string_view op, const Tensor& x, const GatedMlp& mlp) {
    Tensor gate = multiply(op, x, {mlp.gate, mlp.gate_bias});
    const Tensor up = multiply(op, x, {mlp.up, mlp.up_bias});
    const std::span<float> gates = values(gate);
    const std::span<const float> ups = values(up);
    for (size_t i = 0; i < gates.size(); ++i) gates[i] = arithmetic_->gated(mlp.activation, gates[i], ups[i]);
    return multiply(op, gate, {mlp.down, mlp.down_bias});
  }

  /// sum = factor * x + sum
  void add_product(float factor, std::span<const float> x, std::span<float> sum) const {
    for (size_t c = 0; c < x.size(); ++c) sum[c] = arithmetic_->add_product(factor, x[c], sum[c]);
  }

  void add_shared(const Tensor& x, const GatedMlp& expert, Weight gate, const Tensor& out) {
    const Tensor shared = run_mlp("moe", x, expert);
    Tensor gates;
    if (gate) gates = multiply("moe", x, {gate, {}});
    for (int64_t r = 0; r < x.rows; ++r) {
      const float factor = gate ? arithmetic_->gate(GateFunction::kSigmoid, 1.0F, row(gates, r)[0]) : 1.0F;
      add_product(factor, row(shared, r), row(out, r));
    }
  }

  float* slot(const SequenceSlice& sequence) { return slots_[static_cast<size_t>(sequence.slot)].data(); }

  void check_slot_size(size_t bytes) const {
    if (bytes == static_cast<size_t>(slot_layout_.floats()) * sizeof(float)) return;
    throw Error(ErrorKind::kRuntime, "a saved recurrent state is of another size than this model's");
  }

  Tensor multiply(std::string_view op, const Tensor& x, const Linear& linear) {
    const Weight& weight = linear.weight;
    MeteredScope scope(meter_, op, cost::linear(weights_.bytes(weight), weight.rows, weight.columns, x.rows));
    Tensor out = make_tensor(x.rows, weight.rows);
    if (!arithmetic_->linear(weights_.view(weight), weights_.vector(linear.bias), values(x), values(out))) {
      finite_.note_activations(op, weights_.name(weight));
    }
    return out;
  }

  void append(const SequenceSlice& sequence, int32_t layer_index, const Tensor& k, const Tensor& v) {
    const PagedKv& layer = layout_.layers[static_cast<size_t>(layer_index)];
    for (int32_t i = 0; i < sequence.n_tokens; ++i) {
      const int32_t position = sequence.first_position + i;
      LayerPage& page = layer_page(sequence, position, layer_index);
      const auto store = [&](std::span<const float> in, int32_t width, std::vector<float>& out) {
        for (size_t c = 0; c < in.size(); ++c) {
          const size_t head = c / static_cast<size_t>(width);
          const size_t slot = head * kPageTokens + static_cast<size_t>(position % kPageTokens);
          out[slot * static_cast<size_t>(width) + c % static_cast<size_t>(width)] = arithmetic_->cached(in[c]);
        }
      };
      store(row(k, sequence.first_row + i), layer.key_width, page.keys);
      if (layer.values == PagedKv::Values::kOwn) {
        store(row(v, sequence.first_row + i), layer.value_width, page.values);
      }
    }
  }

  void attend(const SequenceSlice& sequence, const Attention& attention, const Tensor& q, const Tensor& out) {
    const PagedKv& layer = layout_.layers[static_cast<size_t>(attention.layer)];
    const auto key_width = static_cast<size_t>(layer.key_width);
    const auto value_width = static_cast<size_t>(layer.value_width);
    const int32_t group = attention.heads / layer.kv_heads;
    std::vector<const float*> keys;
    std::vector<const float*> values_seen;
    for (int32_t head = 0; head < attention.heads; ++head) {
      keys.clear();
      values_seen.clear();
      for (int32_t position = 0; position < sequence.first_position + sequence.n_tokens; ++position) {
        const LayerPage& page = layer_page(sequence, position, attention.layer);
        const auto slot = static_cast<size_t>(head / group * kPageTokens + position % kPageTokens);
        keys.push_back(&page.keys[slot * key_width]);
        const bool own = layer.values == PagedKv::Values::kOwn;
        values_seen.push_back(own ? &page.values[slot * value_width] : keys.back());
      }
      for (int32_t i = 0; i < sequence.n_tokens; ++i) {
        const auto end = static_cast<size_t>(sequence.first_position + i + 1);
        const auto window = static_cast<size_t>(layer.window);
        const size_t begin = window > 0 && end > window ? end - window : 0;
        const std::span<float> query = row(q, sequence.first_row + i);
        const std::span<float> result = row(out, sequence.first_row + i);
        AttentionView view{.keys = std::span(keys).subspan(begin, end - begin),
                           .values = std::span(values_seen).subspan(begin, end - begin),
                           .scale = attention.scale,
                           .first_position = begin};
        if (attention.sinks) view.sink = weights_.vector(attention.sinks)[head];
        arithmetic_->attend(query.subspan(static_cast<size_t>(head) * key_width, key_width), view,
                            result.subspan(static_cast<size_t>(head) * value_width, value_width));
      }
    }
  }

  LayerPage& layer_page(const SequenceSlice& sequence, int32_t position, int32_t layer) {
    const PageId page = sequence.pages[static_cast<size_t>(position / kPageTokens)];
    return pages_[static_cast<size_t>(page)][static_cast<size_t>(layer)];
  }

  void check_page_size(size_t bytes) const {
    const uint64_t expected = layout_.page_bytes() * (numerics_ == ReferenceNumerics::kContract ? 1 : 2);
    if (bytes != expected) throw Error(ErrorKind::kRuntime, "a saved KV page is of another size than this model's");
  }

  std::span<std::byte> save_values(const std::vector<float>& in, std::span<std::byte> out) const {
    for (const float value : in) {
      if (numerics_ == ReferenceNumerics::kContract) {
        const uint16_t half = float_to_half(value);
        std::memcpy(out.data(), &half, sizeof(half));
        out = out.subspan(sizeof(half));
      } else {
        std::memcpy(out.data(), &value, sizeof(value));
        out = out.subspan(sizeof(value));
      }
    }
    return out;
  }

  std::span<const std::byte> restore_values(std::span<const std::byte> in, std::vector<float>& out) const {
    for (float& value : out) {
      if (numerics_ == ReferenceNumerics::kContract) {
        uint16_t half = 0;
        std::memcpy(&half, in.data(), sizeof(half));
        value = half_to_float(half);
        in = in.subspan(sizeof(half));
      } else {
        std::memcpy(&value, in.data(), sizeof(value));
        in = in.subspan(sizeof(value));
      }
    }
    return in;
  }

  Ledger& ledger_;
  ReferenceNumerics numerics_;
  std::unique_ptr<reference::Arithmetic> arithmetic_;
  WeightTable weights_;
  std::vector<Reservation> weight_reservations_;
  StateLayout layout_;
  Reservation state_reservation_;
  std::vector<Page> pages_;
  SlotLayout slot_layout_;
  Reservation slot_reservation_;
  std::vector<std::vector<float>> slots_;
  const Batch* batch_ = nullptr;
  CostMeter* meter_ = nullptr;
  uint32_t step_ = 0;
  std::vector<StoredTensor> tensors_;
  FiniteCheck finite_;
};

}  // namespace

std::unique_ptr<Ops> make_reference_ops(Ledger& ledger, ReferenceNumerics numerics) {
  return std::make_unique<ReferenceOps>(ledger, numerics);
}

}  // namespace megalith
