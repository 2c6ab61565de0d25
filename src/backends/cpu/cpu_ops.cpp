#include "backends/cpu/cpu_ops.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "backends/cpu/arena.h"
#include "backends/cpu/attention.h"
#include "backends/cpu/kv_pool.h"
#include "backends/cpu/linear.h"
#include "backends/cpu/recurrent.h"
#include "backends/cpu/rope_tables.h"
#include "base/thread_pool.h"
#include "ops/copy_columns.h"
#include "ops/cost.h"
#include "ops/finite_check.h"
#include "ops/real_math.h"
#include "ops/routing.h"
#include "ops/weight_table.h"

namespace megalith::cpu {

namespace {

/// Elementwise work below so many floats is done before the pool has woken up.
constexpr int64_t kSerialFloats = 16 * 1024;

class CpuOps final : public Ops {
 public:
  CpuOps(Ledger& ledger, const KernelTable& kernels, int threads)
      : ledger_(ledger), kernels_(kernels), pool_(threads), arena_(ledger), attention_(ledger, pool_, kernels.vector) {}

  Weight adopt(const NamedWeight& weight) override {
    if (!weights_.contains(weight.name)) {
      weight_reservations_.push_back(ledger_.reserve("weights (mapped)", weight.view.bytes(),
                                                     "use a smaller model, or a smaller quantisation of this one"));
    }
    return weights_.adopt(weight);
  }

  void allocate_state(const StateLayout& layout, int64_t n_pages) override {
    pages_.allocate(ledger_, layout, n_pages);
  }
  void clear_page(PageId page) override { pages_.clear(page); }
  void copy_page(PageId from, PageId to) override { pages_.copy(from, to); }
  void save_page(PageId page, std::span<std::byte> out) const override { pages_.save(page, out); }
  void restore_page(PageId page, std::span<const std::byte> in) override { pages_.restore(page, in); }

  void allocate_slots(const StateLayout& layout, int64_t n_slots) override {
    slots_.allocate(ledger_, layout, n_slots);
  }
  void clear_slot(SlotId slot) override { slots_.clear(slot); }
  void copy_slot(SlotId from, SlotId to) override { slots_.copy(from, to); }
  void save_slot(SlotId slot, std::span<std::byte> out) const override { slots_.save(slot, out); }
  void restore_slot(SlotId slot, std::span<const std::byte> in) override { slots_.restore(slot, in); }

  void begin_step(const Batch& batch, CostMeter* meter) override {
    batch_ = &batch;
    meter_ = meter;
    arena_.begin_step();
    rope_tables_.begin_step();
    finite_.clear();
  }

  void end_step() override {
    batch_ = nullptr;
    finite_.throw_if_any();
  }

  Tensor embed(Weight table) override {
    const WeightView& view = weights_.view(table);
    const FormatInfo& format = format_info(view.format);
    const auto n_tokens = static_cast<int64_t>(batch_->tokens.size());
    MeteredScope scope(meter_, "embed", cost::embed(view.bytes() / static_cast<uint64_t>(view.rows), n_tokens));
    Tensor out = arena_.make(n_tokens, table.columns);
    float* to = arena_.data(out);
    for_ranges(n_tokens, table.columns, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        format.decode(view, batch_->tokens[static_cast<size_t>(r)], 0,
                      {to + r * table.columns, static_cast<size_t>(table.columns)});
      }
    });
    return out;
  }

  Tensor rms_norm(Tensor x, Weight gain, float epsilon) override {
    MeteredScope scope(meter_, "rms_norm", cost::elementwise(weights_.bytes(gain)));
    Tensor out = arena_.make(x.rows, x.columns);
    const float* from = data(x);
    float* to = arena_.data(out);
    const int64_t width = gain.columns;
    for_ranges(x.rows * x.columns / width, width, [&](int64_t begin, int64_t end) {
      kernels_.vector.rms_norm({.x = from + begin * width,
                                .gain = weights_.vector(gain),
                                .out = to + begin * width,
                                .n_groups = end - begin,
                                .width = width,
                                .epsilon = epsilon});
    });
    return out;
  }

  std::vector<Tensor> linear(Tensor x, std::span<const Linear> linears) override {
    std::vector<Tensor> results;
    results.reserve(linears.size());
    multiply("linear", x, linears, results);
    return results;
  }

  Tensor gated_mlp(Tensor x, const GatedMlp& mlp) override { return run_mlp("gated_mlp", x, mlp); }

  Tensor linear_per_head(Tensor x, Weight weight) override {
    const WeightView& view = weights_.view(weight);
    const int64_t heads = x.columns / weight.columns;
    const int64_t out_width = weight.rows / heads;
    MeteredScope scope(meter_, "linear_per_head", cost::linear(view.bytes(), weight.rows, weight.columns, x.rows));
    Tensor out = arena_.make(x.rows, weight.rows);
    const Tensor part = arena_.make(x.rows, weight.columns);
    for (int64_t head = 0; head < heads; ++head) {
      copy_columns(data(x) + head * weight.columns, x.columns, arena_.data(part), weight.columns,
                   {.n = x.rows, .width = weight.columns});
      const WeightView rows = slice_rows(view, head * out_width, out_width);
      const LinearOutput output{
          .weight = &rows, .bias = nullptr, .out = arena_.data(out) + head * out_width, .out_stride = weight.rows};
      if (!run_linear(pool_, kernels_, linear_scratch_, {arena_.data(part), x.rows, weight.columns},
                      std::span(&output, 1))) {
        finite_.note_activations("linear_per_head", weights_.name(weight));
      }
    }
    return out;
  }

  Tensor moe(Tensor x, const Moe& moe) override {
    const Tensor raw = multiply_one("moe", x, {moe.router.weight, moe.router.bias});
    std::vector<std::vector<Choice>> choices;
    for (int64_t r = 0; r < x.rows; ++r) {
      choices.push_back(route<ContractMath>(moe.router, row(raw, r), weights_.vector(moe.router.selection_bias)));
    }
    // Each expert's outputs for all its tokens first, then each token's sum in rank order.
    const int64_t chosen = moe.router.chosen;
    const Tensor outputs = arena_.make(x.rows * chosen, x.columns);
    const std::vector<ExpertRows> experts = rows_of_experts(choices, moe.experts.size());
    for (size_t e = 0; e < experts.size(); ++e) {
      if (experts[e].tokens.empty()) continue;
      const Tensor results = run_mlp("moe", gather(x, experts[e].tokens), moe.experts[e]);
      for (size_t i = 0; i < experts[e].tokens.size(); ++i) {
        std::ranges::copy(row(results, static_cast<int64_t>(i)),
                          row(outputs, experts[e].tokens[i] * chosen + experts[e].ranks[i]).begin());
      }
    }
    Tensor shared;
    Tensor shared_gates;
    if (moe.shared) shared = run_mlp("moe", x, *moe.shared);
    if (moe.shared_gate) shared_gates = multiply_one("moe", x, {moe.shared_gate, {}});
    MeteredScope scope(meter_, "moe", {});
    Tensor out = arena_.make(x.rows, x.columns);
    for_ranges(x.rows, x.columns * (chosen + 1), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const std::span<float> sum = row(out, r);
        std::ranges::fill(sum, 0.0F);
        const std::vector<Choice>& mix = choices[static_cast<size_t>(r)];
        for (size_t rank = 0; rank < mix.size(); ++rank) {
          add_product(mix[rank].weight, row(outputs, r * chosen + static_cast<int64_t>(rank)), sum);
        }
        if (!moe.shared) continue;
        add_product(moe.shared_gate ? sigmoid<ContractMath>(row(shared_gates, r)[0]) : 1.0F, row(shared, r), sum);
      }
    });
    return out;
  }

  Tensor short_conv(Tensor x, Weight kernel, int32_t layer) override {
    const WeightView& view = weights_.view(kernel);
    MeteredScope scope(meter_, "short_conv", cost::short_conv(slots_.layout().layer(layer), view.bytes(), *batch_));
    const Tensor decoded = arena_.make(view.rows, view.columns);
    for (int64_t r = 0; r < view.rows; ++r) format_info(view.format).decode(view, r, 0, row(decoded, r));
    Tensor out = arena_.make(x.rows, x.columns);
    run_short_conv(pool_, slots_,
                   {.batch = batch_, .layer = layer, .x = data(x), .kernel = data(decoded), .out = data(out)});
    return out;
  }

  Tensor gated_delta(const GatedDeltaInputs& inputs, const GatedDelta& delta) override {
    MeteredScope scope(meter_, "gated_delta", cost::gated_delta(slots_.layout().layer(delta.layer), *batch_));
    Tensor out = arena_.make(inputs.value.rows, inputs.value.columns);
    run_gated_delta(pool_, slots_, *batch_, delta,
                    {.query = data(inputs.query),
                     .key = data(inputs.key),
                     .value = data(inputs.value),
                     .a = data(inputs.a),
                     .b = data(inputs.b),
                     .out = data(out),
                     .decay_rate = weights_.vector(delta.decay_rate),
                     .time_bias = weights_.vector(delta.time_bias)});
    return out;
  }

  Tensor l2_norm(Tensor x, int64_t width, float epsilon) override {
    MeteredScope scope(meter_, "l2_norm", cost::elementwise(0));
    Tensor out = arena_.make(x.rows, x.columns);
    const float* from = data(x);
    float* to = data(out);
    for_ranges(x.rows * x.columns / width, width, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        l2_normalise({from + i * width, static_cast<size_t>(width)}, epsilon, to + i * width);
      }
    });
    return out;
  }

  Tensor gate(Tensor x, Tensor by, GateFunction function) override {
    MeteredScope scope(meter_, "gate", cost::elementwise(0));
    float* gated = data(x);
    const float* gates = data(by);
    for_floats(x.rows * x.columns, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        gated[i] =
            gated[i] * (function == GateFunction::kSilu ? silu_float(gates[i]) : sigmoid<ContractMath>(gates[i]));
      }
    });
    return x;
  }

  Tensor scale(Tensor x, float factor) override {
    MeteredScope scope(meter_, "scale", cost::elementwise(0));
    float* values = data(x);
    for_floats(x.rows * x.columns, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[i] = values[i] * factor;
    });
    return x;
  }

  Tensor slice_columns(Tensor x, const ColumnSlice& slice) override {
    MeteredScope scope(meter_, "slice_columns", cost::elementwise(0));
    const int64_t groups = x.columns / slice.group_width;
    Tensor out = arena_.make(x.rows, groups * slice.width);
    copy_columns(data(x) + slice.begin, slice.group_width, data(out), slice.width,
                 {.n = x.rows * groups, .width = slice.width});
    return out;
  }

  Tensor join_heads(Tensor a, Tensor b, int32_t heads) override {
    MeteredScope scope(meter_, "join_heads", cost::elementwise(0));
    const int64_t left = a.columns / heads;
    const int64_t right = b.columns / heads;
    Tensor out = arena_.make(a.rows, a.columns + b.columns);
    copy_columns(data(a), left, data(out), left + right, {.n = a.rows * heads, .width = left});
    copy_columns(data(b), right, data(out) + left, left + right, {.n = a.rows * heads, .width = right});
    return out;
  }

  Tensor rope(Tensor x, const Rope& rope) override {
    MeteredScope scope(meter_, "rope", cost::elementwise(0));
    const RopeTables::Table& table = rope_tables_.get(rope, batch_->positions, pool_);
    float* values = data(x);
    const auto rotate =
        rope.style == RopeStyle::kHalves ? kernels_.vector.rotate_halves : kernels_.vector.rotate_interleaved;
    for_ranges(x.rows, x.columns, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        rotate({.x = values + r * x.columns,
                .cosine = table.cosine.data() + r * table.width,
                .sine = table.sine.data() + r * table.width,
                .n_heads = static_cast<int32_t>(x.columns / rope.head_width),
                .head_width = rope.head_width,
                .n_pairs = static_cast<int32_t>(rope.inverse_frequencies.size())});
      }
    });
    return x;
  }

  Tensor attention(Tensor q, Tensor k, Tensor v, const Attention& attention) override {
    const PagedKv& layer = pages_.layer(attention.layer);
    MeteredScope scope(meter_, "attention", cost::attention(layer, attention.heads, *batch_));
    Tensor out = arena_.make(q.rows, static_cast<int64_t>(attention.heads) * layer.value_width);
    attention_.run(pages_, {.batch = batch_,
                            .layer = attention.layer,
                            .heads = attention.heads,
                            .scale = attention.scale,
                            .sinks = weights_.vector(attention.sinks),
                            .q = data(q),
                            .k = data(k),
                            .v = layer.values == PagedKv::Values::kOwn ? data(v) : nullptr,
                            .out = arena_.data(out)});
    return out;
  }

  Tensor add(Tensor a, Tensor b) override {
    MeteredScope scope(meter_, "add", cost::elementwise(0));
    float* left = data(a);
    const float* right = data(b);
    for_floats(a.rows * a.columns,
               [&](int64_t begin, int64_t end) { kernels_.vector.add(left + begin, right + begin, end - begin); });
    return a;
  }

  Tensor gather_rows(Tensor x, std::span<const int32_t> rows) override {
    MeteredScope scope(meter_, "gather_rows", cost::elementwise(0));
    return gather(x, rows);
  }

  Tensor logits(Tensor x, Weight head) override {
    Tensor out = multiply_one("logits", x, {head, {}});
    if (!kernels_.vector.all_finite(arena_.data(out), out.rows * out.columns)) finite_.note_logits(weights_.name(head));
    return out;
  }

  std::span<const float> read(Tensor x) override { return {data(x), static_cast<size_t>(x.rows * x.columns)}; }

  Properties properties() const override {
    return {.backend = "cpu",
            .instruction_set = std::string(name(kernels_.instruction_set)),
            .threads = pool_.size(),
            .batch_invariant = true};
  }

 private:
  float* data(const Tensor& x) const {
    assert(arena_.alive(x));
    return arena_.data(x);
  }

  std::span<float> row(const Tensor& x, int64_t r) const {
    return {data(x) + r * x.columns, static_cast<size_t>(x.columns)};
  }

  Tensor gather(const Tensor& x, std::span<const int32_t> rows) {
    Tensor out = arena_.make(static_cast<int64_t>(rows.size()), x.columns);
    for (size_t r = 0; r < rows.size(); ++r) {
      std::ranges::copy(row(x, rows[r]), row(out, static_cast<int64_t>(r)).begin());
    }
    return out;
  }

  /// sum = factor * x + sum
  static void add_product(float factor, std::span<const float> x, std::span<float> sum) {
    for (size_t c = 0; c < x.size(); ++c) sum[c] = std::fma(factor, x[c], sum[c]);
  }

  static void l2_normalise(std::span<const float> x, float epsilon, float* out) {
    constexpr size_t kAccumulators = 32;
    std::array<float, kAccumulators> sums{};
    for (size_t k = 0; k < x.size(); ++k) sums[k % kAccumulators] = std::fma(x[k], x[k], sums[k % kAccumulators]);
    for (size_t half = kAccumulators / 2; half > 0; half /= 2) {
      for (size_t j = 0; j < half; ++j) sums[j] = sums[j] + sums[j + half];
    }
    const float r = 1.0F / std::sqrt(sums[0] + epsilon);
    for (size_t k = 0; k < x.size(); ++k) out[k] = x[k] * r;
  }

  void activate(Activation activation, float* gate, const float* up, int64_t n) const {
    switch (activation) {
      case Activation::kSilu:
        kernels_.vector.silu_gated(gate, up, n);
        return;
      case Activation::kGeluTanh:
        kernels_.vector.gelu_tanh_gated(gate, up, n);
        return;
      case Activation::kClampedSwiglu:
        for (int64_t i = 0; i < n; ++i) gate[i] = clamped_swiglu<ContractMath>(gate[i], up[i]);
        return;
    }
  }

  Tensor run_mlp(std::string_view op, const Tensor& x, const GatedMlp& mlp) {
    const Linear gate_and_up[] = {{mlp.gate, mlp.gate_bias}, {mlp.up, mlp.up_bias}};
    std::vector<Tensor> results;
    results.reserve(2);
    multiply(op, x, gate_and_up, results);
    {
      MeteredScope scope(meter_, op, {});
      float* gate = arena_.data(results[0]);
      const float* up = arena_.data(results[1]);
      for_floats(x.rows * mlp.gate.rows,
                 [&](int64_t begin, int64_t end) { activate(mlp.activation, gate + begin, up + begin, end - begin); });
    }
    return multiply_one(op, results[0], {mlp.down, mlp.down_bias});
  }

  Tensor multiply_one(std::string_view op, const Tensor& x, const Linear& linear) {
    std::vector<Tensor> results;
    results.reserve(1);
    multiply(op, x, std::span(&linear, 1), results);
    return results.front();
  }

  /// Appends x times each weight to `results`.
  void multiply(std::string_view op, const Tensor& x, std::span<const Linear> linears, std::vector<Tensor>& results) {
    Cost cost;
    outputs_.clear();
    for (const Linear& one : linears) {
      assert(one.weight.columns == x.columns);
      const Cost part = cost::linear(weights_.bytes(one.weight), one.weight.rows, one.weight.columns, x.rows);
      cost.weight_bytes += part.weight_bytes;
      cost.multiply_adds += part.multiply_adds;
      results.push_back(arena_.make(x.rows, one.weight.rows));
      outputs_.push_back({.weight = &weights_.view(one.weight),
                          .bias = weights_.vector(one.bias),
                          .out = arena_.data(results.back()),
                          .out_stride = one.weight.rows});
    }
    MeteredScope scope(meter_, op, cost);
    if (run_linear(pool_, kernels_, linear_scratch_, {data(x), x.rows, x.columns}, outputs_)) return;
    const auto quantised = std::ranges::find_if(
        linears, [this](const Linear& one) { return format_info(weights_.view(one.weight).format).quantised(); });
    finite_.note_activations(op, weights_.name(quantised->weight));
  }

  /// body(begin, end) over parts of [0, n); in parallel when `n` times `floats_each` is worth it.
  template <class Body>
  void for_ranges(int64_t n, int64_t floats_each, const Body& body) {
    const int64_t total = n * floats_each;
    if (pool_.size() == 1 || n == 1 || total <= kSerialFloats) {
      body(int64_t{0}, n);
      return;
    }
    constexpr int64_t kPartsPerThread = 4;
    const int64_t parts = std::min({n, pool_.size() * kPartsPerThread, total / (kSerialFloats / 8)});
    const auto part = [&body, n, parts](int64_t i) { body(n * i / parts, n * (i + 1) / parts); };
    pool_.parallel_for(parts, [&part](int64_t i, int) { part(i); });
  }

  /// The same over single floats, in steps of a cache line so that threads do not share one.
  template <class Body>
  void for_floats(int64_t n, const Body& body) {
    constexpr int64_t kStep = 1024;
    for_ranges((n + kStep - 1) / kStep, kStep,
               [&body, n](int64_t begin, int64_t end) { body(begin * kStep, std::min(n, end * kStep)); });
  }

  Ledger& ledger_;
  const KernelTable& kernels_;
  ThreadPool pool_;
  WeightTable weights_;
  std::vector<Reservation> weight_reservations_;
  TensorArena arena_;
  KvPool pages_;
  SlotPool slots_;
  AttentionRunner attention_;
  RopeTables rope_tables_;
  LinearScratch linear_scratch_;
  std::vector<LinearOutput> outputs_;
  const Batch* batch_ = nullptr;
  CostMeter* meter_ = nullptr;
  FiniteCheck finite_;
};

}  // namespace

std::unique_ptr<Ops> make_ops(Ledger& ledger, const KernelTable& kernels, int threads) {
  return std::make_unique<CpuOps>(ledger, kernels, threads);
}

}  // namespace megalith::cpu
