#pragma once
// How a task's rows are cut into tiles of kRows that a kernel computes at once.
#include "backends/cpu/kernels/inline.h"
#include "backends/cpu/kernels/linear_kernels.h"

namespace megalith::cpu {

/// Rows first, first + stride, ... of a weight; of the tile's lanes, [begin, end) are to be stored.
struct RowTile {
  int64_t first;
  int64_t stride;
  int begin;
  int end;
};

/// Calls body for each tile of kRows adjacent rows in [begin, end); the last one overlaps its neighbour and stores the
/// rest: rows before `begin` may belong to another task, which stores them. A weight of fewer rows than a tile has is
/// computed row by row, in all lanes.
template <int kRows, class Body>
MEGALITH_INLINE void adjacent_tiles(int64_t begin, int64_t end, Body&& body) {
  for (; begin + kRows <= end; begin += kRows) body(RowTile{begin, 1, 0, kRows});
  if (begin == end) return;
  if (end >= kRows) {
    body(RowTile{end - kRows, 1, static_cast<int>(kRows - (end - begin)), kRows});
    return;
  }
  for (; begin < end; ++begin) body(RowTile{begin, 0, 0, 1});
}

/// Tiles for streaming weights from memory: the rows of a tile are far apart, so that each lane reads on where it
/// stopped (KERNELS.md: parallel streams read 15-20 % faster than one). Streams a multiple of 4 KiB apart would share
/// cache sets, so the spacing avoids that; what is left over is done by adjacent tiles.
template <int kRows, class Body>
MEGALITH_INLINE void streaming_tiles(const LinearTask& task, Body&& body) {
  constexpr int64_t kAlias = 4096;
  constexpr int64_t kApart = 192;
  const auto collides = [&](int64_t stride) {
    const int64_t distance = stride * task.row_bytes % kAlias;
    return distance < kApart || distance > kAlias - kApart;
  };
  int64_t stride = (task.row_end - task.row_begin) / kRows;
  for (int tries = 0; tries < 3 && stride > 4 && collides(stride); ++tries) --stride;
  for (int64_t i = 0; i < stride; ++i) body(RowTile{task.row_begin + i, stride, 0, kRows});
  adjacent_tiles<kRows>(task.row_begin + stride * kRows, task.row_end, body);
}

/// Stores one lane-per-row result, with the bias.
template <int kRows>
MEGALITH_INLINE void store_tile(const LinearTask& task, const RowTile& tile, int64_t token, const float* values) {
  float* out = task.out + token * task.out_stride;
  for (int lane = 0; lane < kRows; ++lane) {
    if (lane < tile.begin || lane >= tile.end) continue;
    const int64_t row = tile.first + lane * tile.stride;
    out[row] = task.bias == nullptr ? values[lane] : values[lane] + task.bias[row];
  }
}

}  // namespace megalith::cpu
