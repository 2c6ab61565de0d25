#pragma once
// Sines and cosines of a step's positions, made once for all layers that rotate alike.
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "ops/ops.h"

namespace megalith::cpu {

class RopeTables {
 public:
  /// The tables of one Rope, as RotateTask wants them: [n_tokens, width].
  struct Table {
    std::vector<float> inverse_frequencies;
    float magnitude = 0.0F;
    RopeStyle style = RopeStyle::kHalves;
    int64_t width = 0;
    std::vector<float> cosine;
    std::vector<float> sine;
  };

  void begin_step() { used_ = 0; }
  /// Valid until the next call.
  const Table& get(const Rope& rope, std::span<const int32_t> positions, ThreadPool& pool);

 private:
  static void fill(Table& table, std::span<const int32_t> positions, ThreadPool& pool);
  std::vector<Table> tables_;  // kept over steps for their memory
  size_t used_ = 0;            // of this step
};

}  // namespace megalith::cpu
