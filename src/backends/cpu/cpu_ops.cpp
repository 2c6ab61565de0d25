#include "backends/cpu/cpu_ops.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "backends/cpu/arena.h"
#include "backends/cpu/attention.h"
#include "backends/cpu/kv_pool.h"
#include "backends/cpu/linear.h"
#include "backends/cpu/rope_tables.h"
#include "base/thread_pool.h"
#include "ops/cost.h"
#include "ops/finite_check.h"
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

  Tensor gated_mlp(Tensor x, const GatedMlp& mlp) override {
    const Linear gate_and_up[] = {{mlp.gate, mlp.gate_bias}, {mlp.up, mlp.up_bias}};
    const Linear down{mlp.down, mlp.down_bias};
    std::vector<Tensor> results;
    results.reserve(3);
    multiply("gated_mlp", x, gate_and_up, results);
    {
      MeteredScope scope(meter_, "gated_mlp", {});
      float* gate = arena_.data(results[0]);
      const float* up = arena_.data(results[1]);
      const auto activate =
          mlp.activation == Activation::kSilu ? kernels_.vector.silu_gated : kernels_.vector.gelu_tanh_gated;
      for_floats(x.rows * mlp.gate.rows,
                 [&](int64_t begin, int64_t end) { activate(gate + begin, up + begin, end - begin); });
    }
    const Tensor activated = results[0];
    multiply("gated_mlp", activated, std::span(&down, 1), results);
    return results[2];
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
                            .q = data(q),
                            .k = data(k),
                            .v = data(v),
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
    Tensor out = arena_.make(static_cast<int64_t>(rows.size()), x.columns);
    const size_t row_bytes = static_cast<size_t>(x.columns) * sizeof(float);
    for (size_t r = 0; r < rows.size(); ++r) {
      std::memcpy(arena_.data(out) + static_cast<int64_t>(r) * x.columns, data(x) + rows[r] * x.columns, row_bytes);
    }
    return out;
  }

  Tensor logits(Tensor x, Weight head) override {
    const Linear one{head, {}};
    std::vector<Tensor> results;
    multiply("logits", x, std::span(&one, 1), results);
    const Tensor& out = results.front();
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
