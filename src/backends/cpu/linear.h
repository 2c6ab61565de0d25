#pragma once
// Matmuls of the CPU backend: weights in the file's own layout, in place; docs/numerics.md fixes the arithmetic.
#include <cstdint>
#include <memory>
#include <span>

#include "base/thread_pool.h"
#include "formats/format_table.h"

namespace megalith::cpu {

struct KernelTable;

/// One input for any number of weights: float rows, and, when a quantised weight wants them, their int8 groups.
struct LinearInput {
  const float* rows = nullptr;  // [n_rows, columns], row stride = columns
  int64_t n_rows = 0;
  int64_t columns = 0;
};

/// One weight and where its product goes: out[r * out_stride + n], n < weight.rows.
struct LinearOutput {
  const WeightView* weight = nullptr;
  const float* bias = nullptr;  // [weight.rows] or null
  float* out = nullptr;
  int64_t out_stride = 0;
};

/// Scratch of run_linear: quantised activations and per-thread tiles, grown once and kept.
class LinearScratch {
 public:
  LinearScratch();
  ~LinearScratch();
  LinearScratch(const LinearScratch&) = delete;
  LinearScratch& operator=(const LinearScratch&) = delete;
  uint64_t bytes() const;
  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// Multiplies the input by all weights in one go of the pool (so that q, k and v, or gate and up, share it).
/// Returns false if a quantised weight met a non-finite activation; the outputs are then unspecified.
bool run_linear(ThreadPool& pool, const KernelTable& kernels, LinearScratch& scratch, const LinearInput& input,
                std::span<const LinearOutput> outputs);

}  // namespace megalith::cpu
