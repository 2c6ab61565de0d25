#include "ops/counting.h"

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

  WeightTable weights_;
  StateLayout layout_;
  const Batch* batch_ = nullptr;
  CostMeter* meter_ = nullptr;
};

}  // namespace

std::unique_ptr<Ops> make_counting_ops() { return std::make_unique<CountingOps>(); }

}  // namespace megalith
