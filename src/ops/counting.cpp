#include "ops/counting.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "ops/cost.h"
#include "ops/weight_table.h"

namespace megalith {

namespace {

class CountingOps final : public Ops, private TensorOwner {
 public:
  Weight adopt(const NamedWeight& weight) override { return weights_.adopt(weight); }

  void allocate_state(const StateLayout& layout, int64_t) override { layout_ = layout; }
  void clear_page(PageId) override {}
  void copy_page(PageId, PageId) override {}
  void save_page(PageId, std::span<std::byte>) const override { refuse(); }
  void restore_page(PageId, std::span<const std::byte>) override { refuse(); }

  void allocate_slots(const StateLayout&, int64_t) override {}
  void clear_slot(SlotId) override {}
  void copy_slot(SlotId, SlotId) override {}
  void save_slot(SlotId, std::span<std::byte>) const override { refuse(); }
  void restore_slot(SlotId, std::span<const std::byte>) override { refuse(); }

  void begin_step(const Batch& batch, CostMeter* meter) override {
    batch_ = &batch;
    meter_ = meter;
  }
  void end_step() override { batch_ = nullptr; }

  Tensor embed(Weight table) override {
    const auto n_tokens = static_cast<int64_t>(batch_->tokens.size());
    count("embed", cost::embed(weights_.bytes(table) / static_cast<uint64_t>(table.rows), n_tokens));
    return shape(n_tokens, table.columns);
  }
  Tensor rms_norm(Tensor x, Weight gain, float) override {
    count("rms_norm", cost::elementwise(weights_.bytes(gain)));
    return x;
  }
  std::vector<Tensor> linear(Tensor x, std::span<const Linear> linears) override {
    std::vector<Tensor> results;
    for (const Linear& one : linears) results.push_back(multiply("linear", x, one.weight));
    return results;
  }
  Tensor gated_mlp(Tensor x, const GatedMlp& mlp) override {
    const Tensor gate = multiply("gated_mlp", x, mlp.gate);
    multiply("gated_mlp", x, mlp.up);
    return multiply("gated_mlp", gate, mlp.down);
  }
  Tensor linear_per_head(Tensor x, Weight weight) override { return multiply("linear_per_head", x, weight); }
  Tensor moe(Tensor x, const Moe& moe) override {
    multiply("moe", x, moe.router.weight);
    // How many of the experts a step of several tokens meets depends on its text; each token's choice is taken for
    // independent of the others and even over the experts. For one token the number is exact.
    const auto n_experts = static_cast<double>(moe.experts.size());
    const double share_met = 1.0 - std::pow(1.0 - moe.router.chosen / n_experts, static_cast<double>(x.rows));
    Cost all;
    for (const GatedMlp& expert : moe.experts) all = add(all, mlp_cost(expert, 1));
    all.weight_bytes = static_cast<uint64_t>(std::llround(static_cast<double>(all.weight_bytes) * share_met));
    all.multiply_adds = static_cast<uint64_t>(std::llround(static_cast<double>(all.multiply_adds) / n_experts)) *
                        static_cast<uint64_t>(moe.router.chosen) * static_cast<uint64_t>(x.rows);
    count("moe", all);
    if (moe.shared) count("moe", mlp_cost(*moe.shared, x.rows));
    if (moe.shared_gate) multiply("moe", x, moe.shared_gate);
    return x;
  }
  Tensor short_conv(Tensor x, Weight kernel, int32_t layer) override {
    count("short_conv",
          cost::short_conv(layout_.recurrent[static_cast<size_t>(layer)], weights_.bytes(kernel), *batch_));
    return x;
  }
  Tensor gated_delta(const GatedDeltaInputs& inputs, const GatedDelta& delta) override {
    count("gated_delta", cost::gated_delta(layout_.recurrent[static_cast<size_t>(delta.layer)], *batch_));
    return inputs.value;
  }
  Tensor l2_norm(Tensor x, int64_t, float) override { return elementwise("l2_norm", std::move(x)); }
  Tensor gate(Tensor x, Tensor, GateFunction) override { return elementwise("gate", std::move(x)); }
  Tensor scale(Tensor x, float) override { return elementwise("scale", std::move(x)); }
  Tensor slice_columns(Tensor x, const ColumnSlice& slice) override {
    count("slice_columns", cost::elementwise(0));
    return shape(x.rows, x.columns / slice.group_width * slice.width);
  }
  Tensor join_heads(Tensor a, Tensor b, int32_t) override {
    count("join_heads", cost::elementwise(0));
    return shape(a.rows, a.columns + b.columns);
  }
  Tensor rope(Tensor x, const Rope&) override {
    count("rope", cost::elementwise(0));
    return x;
  }
  Tensor attention(Tensor q, Tensor, Tensor, const Attention& attention) override {
    const PagedKv& layer = layout_.layers[static_cast<size_t>(attention.layer)];
    count("attention", cost::attention(layer, attention.heads, *batch_));
    return shape(q.rows, static_cast<int64_t>(attention.heads) * layer.value_width);
  }
  Tensor add(Tensor a, Tensor) override {
    count("add", cost::elementwise(0));
    return a;
  }
  Tensor gather_rows(Tensor x, std::span<const int32_t> rows) override {
    count("gather_rows", cost::elementwise(0));
    return shape(static_cast<int64_t>(rows.size()), x.columns);
  }
  Tensor logits(Tensor x, Weight head) override { return multiply("logits", x, head); }

  std::span<const float> read(Tensor) override { refuse(); }

  Properties properties() const override {
    return {.backend = "counting", .instruction_set = "none", .threads = 1, .batch_invariant = true};
  }

 private:
  void retain(int32_t, uint32_t) noexcept override {}
  void release(int32_t, uint32_t) noexcept override {}

  [[noreturn]] static void refuse() {
    throw Error(ErrorKind::kRuntime, "the counting backend keeps no values; use a backend that computes");
  }
  Tensor shape(int64_t rows, int64_t columns) { return {*this, 0, 0, rows, columns}; }
  void count(std::string_view op, const Cost& cost) {
    if (meter_ != nullptr) meter_->add(op, cost, 0.0);
  }
  Tensor multiply(std::string_view op, const Tensor& x, Weight weight) {
    count(op, cost::linear(weights_.bytes(weight), weight.rows, weight.columns, x.rows));
    return shape(x.rows, weight.rows);
  }

  Tensor elementwise(std::string_view op, Tensor x) {
    count(op, cost::elementwise(0));
    return x;
  }
  static Cost add(Cost a, const Cost& b) {
    a.weight_bytes += b.weight_bytes;
    a.state_bytes += b.state_bytes;
    a.multiply_adds += b.multiply_adds;
    return a;
  }
  Cost mlp_cost(const GatedMlp& mlp, int64_t rows) const {
    Cost total;
    for (const Weight& part : {mlp.gate, mlp.up, mlp.down}) {
      total = add(total, cost::linear(weights_.bytes(part), part.rows, part.columns, rows));
    }
    return total;
  }

  WeightTable weights_;
  StateLayout layout_;
  const Batch* batch_ = nullptr;
  CostMeter* meter_ = nullptr;
};

}  // namespace

std::unique_ptr<Ops> make_counting_ops() { return std::make_unique<CountingOps>(); }

}  // namespace megalith
