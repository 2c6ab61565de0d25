#pragma once
// Weights made from floats, in memory of their own: for tests and synthetic checkpoints.
#include "formats/format_table.h"

namespace megalith {

/// Its view lies on its planes: moving keeps them where they are.
struct EncodedWeight {
  std::array<std::vector<std::byte>, kMaxPlanes> planes;
  std::vector<int32_t> column_order;
  WeightView view;

  EncodedWeight() = default;
  EncodedWeight(EncodedWeight&&) = default;
  EncodedWeight& operator=(EncodedWeight&&) = default;
  EncodedWeight(const EncodedWeight&) = delete;
  EncodedWeight& operator=(const EncodedWeight&) = delete;
  ~EncodedWeight() = default;
};

/// Encodes [rows, columns] weights in any format; of `shape` the planes do not count, but for GPTQ's plane 3: the group
/// of each column, or none. A group of 0 is 32.
EncodedWeight encode_weight(const WeightView& shape, std::span<const float> weights);

}  // namespace megalith
