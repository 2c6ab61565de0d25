#pragma once
// Slicing and joining of heads: pieces of a fixed width copied from one stride to another.
#include <cstdint>
#include <cstring>

namespace megalith {

struct Pieces {
  int64_t n = 0;
  int64_t width = 0;  // floats of one piece
};

/// Piece i goes from from + i * from_stride to to + i * to_stride.
inline void copy_columns(const float* from, int64_t from_stride, float* to, int64_t to_stride, Pieces pieces) {
  for (int64_t i = 0; i < pieces.n; ++i) {
    std::memcpy(to + i * to_stride, from + i * from_stride, static_cast<size_t>(pieces.width) * sizeof(float));
  }
}

}  // namespace megalith
