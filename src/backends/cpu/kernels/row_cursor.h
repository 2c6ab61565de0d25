#pragma once
// Where the rows of a tile stand: evenly spaced, so that a few registers address them all.
#include <cstdint>

#include "backends/cpu/kernels/inline.h"

namespace megalith::cpu {

/// kLanes rows, in quads: row 4q + j is at quad[q] + j * stride, which x86 addresses without arithmetic for j < 3.
template <int kLanes>
struct RowCursor {
  static constexpr int kQuads = kLanes / 4;
  const uint8_t* quad[kQuads];
  int64_t stride;
  int64_t stride3;

  [[gnu::always_inline]] RowCursor(const uint8_t* first, int64_t stride_bytes)
      : stride(stride_bytes), stride3(3 * stride_bytes) {
    for (int q = 0; q < kQuads; ++q) quad[q] = first + q * 4 * stride_bytes;
  }
  [[gnu::always_inline]] const uint8_t* row(int q, int j) const { return quad[q] + (j == 3 ? stride3 : j * stride); }
  [[gnu::always_inline]] void advance(int64_t bytes) {
    for (int q = 0; q < kQuads; ++q) quad[q] += bytes;
  }
};

}  // namespace megalith::cpu
