#include "ops/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "ops/cost.h"
#include "ops/finite_check.h"
#include "ops/reference_arithmetic.h"
#include "ops/weight_table.h"

namespace megalith {

namespace {

/// Values of one layer in one page: keys [kv_heads][64][key_width] and values [kv_heads][64][value_width].
struct LayerPage {
  std::vector<float> keys;
  std::vector<float> values;
};
using Page = std::vector<LayerPage>;

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
                         std::vector<float>(positions * static_cast<size_t>(layer.value_width))});
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

  Tensor gated_mlp(Tensor x, const GatedMlp& mlp) override {
    Tensor gate = multiply("gated_mlp", x, {mlp.gate, mlp.gate_bias});
    const Tensor up = multiply("gated_mlp", x, {mlp.up, mlp.up_bias});
    const std::span<float> gates = values(gate);
    const std::span<const float> ups = values(up);
    for (size_t i = 0; i < gates.size(); ++i) gates[i] = arithmetic_->gated(mlp.activation, gates[i], ups[i]);
    return multiply("gated_mlp", gate, {mlp.down, mlp.down_bias});
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

  Tensor add(Tensor a, Tensor b) override {
    MeteredScope scope(meter_, "add", cost::elementwise(0));
    const std::span<float> left = values(a);
    const std::span<const float> right = values(b);
    for (size_t i = 0; i < left.size(); ++i) left[i] = left[i] + right[i];
    return a;
  }

  Tensor gather_rows(Tensor x, std::span<const int32_t> rows) override {
    MeteredScope scope(meter_, "gather_rows", cost::elementwise(0));
    Tensor out = make_tensor(static_cast<int64_t>(rows.size()), x.columns);
    for (size_t r = 0; r < rows.size(); ++r) {
      std::ranges::copy(row(x, rows[r]), row(out, static_cast<int64_t>(r)).begin());
    }
    return out;
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
      store(row(v, sequence.first_row + i), layer.value_width, page.values);
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
        values_seen.push_back(&page.values[slot * value_width]);
      }
      for (int32_t i = 0; i < sequence.n_tokens; ++i) {
        const auto visible = static_cast<size_t>(sequence.first_position + i + 1);
        const std::span<float> query = row(q, sequence.first_row + i);
        const std::span<float> result = row(out, sequence.first_row + i);
        arithmetic_->attend(query.subspan(static_cast<size_t>(head) * key_width, key_width),
                            {std::span(keys).first(visible), std::span(values_seen).first(visible), attention.scale},
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
