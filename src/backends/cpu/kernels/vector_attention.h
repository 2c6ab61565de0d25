#pragma once
// Attention over one block of rows (docs/numerics.md, Attention), written once over a set's float traits.
//
// Keys lie as [key_width][64], so that lanes are positions and every score is one sum over d in order; values lie as
// [64][value_width], so that lanes are outputs and every output is one sum over positions in order. No sum crosses
// lanes but the two trees that the contract fixes, so all widths of vector give the same bits.
#include <cstdint>

#include "backends/cpu/kernels/vector_kernels.h"
#include "backends/cpu/kernels/vector_math.h"

namespace megalith::cpu {

constexpr int kChunk = 64;
constexpr int kSpanChunks = 16;

/// Where a chunk's keys and values are read from: the page's halves, or a float copy made once for many rows.
template <class S>
inline typename S::V load_cached(const uint16_t* p) {
  return S::load_half(p);
}
template <class S>
inline typename S::V load_cached(const float* p) {
  return S::load(p);
}
template <class S>
inline float load_cached_one(const uint16_t* p) {
  return S::half_value(*p);
}
template <class S>
inline float load_cached_one(const float* p) {
  return *p;
}

/// Rows of a tile, at most kTileRows, that meet one chunk. A row's `state` is its partial: outputs, maximum, sum.
template <class Cached>
struct ChunkTile {
  const float* queries;  // [rows, key_width], scaled
  const Cached* keys;    // [key_width][64]
  const Cached* values;  // [64][value_width]
  int32_t key_width;
  int32_t value_width;
  const int32_t* seen_from;  // [rows] each row sees the positions [seen_from, seen_to) of the chunk, at least one of
  const int32_t* seen_to;    // [rows] them; neither ever falls from one row to the next
  float* state;              // [rows][partial_floats]
  bool first;                // chunk of the partial: nothing to merge with
  // What is read next, fetched meanwhile: a page lies far from the one before it, where no hardware looks ahead.
  const Cached* next_keys;
  const Cached* next_values;
};

/// Starts to load row `index` of `width` halves. Float copies are in the cache already.
inline __attribute__((always_inline)) void fetch_row(const uint16_t* rows, int64_t index, int32_t width) {
  constexpr int32_t kLineHalves = 32;
  const uint16_t* row = rows + index * width;
  for (int32_t i = 0; i < width; i += kLineHalves) __builtin_prefetch(row + i);
}
inline void fetch_row(const float*, int64_t, int32_t) {}

template <class S, int kRows, class Cached>
inline __attribute__((always_inline)) void tile_scores(const ChunkTile<Cached>& tile, float* scores) {
  using V = typename S::V;
  constexpr int kVectors = S::kTileVectors;
  constexpr int kPanel = kVectors * S::kLanes;
  static_assert(kChunk % kPanel == 0);
  const int first_panel = tile.seen_from[0] / kPanel * kPanel;
  for (int panel = first_panel; panel < tile.seen_to[kRows - 1]; panel += kPanel) {
    V sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sums[r][j] = S::zero();
    }
    const Cached* key = tile.keys + panel;
    for (int32_t d = 0; d < tile.key_width; ++d, key += kChunk) {
      if (panel == first_panel) fetch_row(tile.next_keys, d, kChunk);
      V keys[kVectors];
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) keys[j] = load_cached<S>(key + j * S::kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const V query = S::set(tile.queries[r * tile.key_width + d]);
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) sums[r][j] = S::fma(query, keys[j], sums[r][j]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) S::store(scores + r * kChunk + panel + j * S::kLanes, sums[r][j]);
    }
  }
}

/// Turns the scores of one row into weights e; returns the maximum and the sum.
struct MaximumAndSum {
  float maximum;
  float sum;
};
template <class S>
inline MaximumAndSum softmax_chunk(float* scores, int32_t from, int32_t to) {
  using V = typename S::V;
  constexpr int kVectors = kChunk / S::kLanes;
  const V lowest = S::set(-__builtin_inff());
  V e[kVectors];
  for (int j = 0; j < kVectors; ++j) e[j] = S::load(scores + j * S::kLanes);
  if (to < kChunk) {
    for (int j = 0; j < kVectors; ++j) e[j] = S::first_lanes(e[j], to - j * S::kLanes, lowest);
  }
  if (from > 0) {
    for (int j = 0; j < kVectors; ++j) e[j] = S::first_lanes(lowest, from - j * S::kLanes, e[j]);
  }
  V highest = e[0];
  for (int j = 1; j < kVectors; ++j) highest = S::maximum(highest, e[j]);
  const float maximum = S::reduce_maximum(highest);
  for (int j = 0; j < kVectors; ++j) {
    e[j] = exp_vector<S>(S::subtract(e[j], S::set(maximum)));
    S::store(scores + j * S::kLanes, e[j]);
  }
  for (int half = kVectors / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) e[j] = S::add(e[j], e[j + half]);
  }
  return {maximum, S::reduce_by_halves(e[0])};
}

/// exp of up to eight pairs of differences: the factors a and b of a merge.
struct MergeFactors {
  alignas(64) float a[8] = {};
  alignas(64) float b[8] = {};
};
template <class S>
inline void exponentiate(MergeFactors& factors) {
  alignas(64) float both[16];
  for (int i = 0; i < 8; ++i) {
    both[i] = factors.a[i];
    both[8 + i] = factors.b[i];
  }
  for (int i = 0; i < 16; i += S::kLanes) S::store(both + i, exp_vector<S>(S::load(both + i)));
  for (int i = 0; i < 8; ++i) {
    factors.a[i] = both[i];
    factors.b[i] = both[8 + i];
  }
}

struct PositionRange {
  int32_t from;
  int32_t to;
};
/// Adds the values of some positions of the chunk to the sums of one row.
template <class S, int kVectors, class Cached>
inline __attribute__((always_inline)) void add_positions(const ChunkTile<Cached>& tile, const float* weights,
                                                         PositionRange positions, int32_t column,
                                                         typename S::V (&sums)[kVectors]) {
  const Cached* value = tile.values + static_cast<int64_t>(positions.from) * tile.value_width + column;
  for (int32_t t = positions.from; t < positions.to; ++t, value += tile.value_width) {
    const typename S::V weight = S::set(weights[t]);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sums[j] = S::fma(weight, load_cached<S>(value + j * S::kLanes), sums[j]);
  }
}

/// The outputs of kVectors vectors of columns from `column` on, and their merge into the state.
template <class S, int kRows, int kVectors, class Cached>
inline __attribute__((always_inline)) void tile_outputs(const ChunkTile<Cached>& tile, const float* weights,
                                                        const MergeFactors& factors, int32_t column) {
  using V = typename S::V;
  V sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sums[r][j] = S::zero();
  }
  // Positions that all rows see. Earlier rows of the tile may see a few before them, later rows a few after them.
  const int32_t common_from = tile.seen_from[kRows - 1];
  const int32_t common_to = tile.seen_to[0] > common_from ? tile.seen_to[0] : common_from;
  if (tile.seen_from[0] < common_from) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const int32_t to = tile.seen_to[r] < common_from ? tile.seen_to[r] : common_from;
      add_positions<S, kVectors>(tile, weights + r * kChunk, {tile.seen_from[r], to}, column, sums[r]);
    }
  }
  const Cached* value = tile.values + static_cast<int64_t>(common_from) * tile.value_width + column;
  for (int32_t t = common_from; t < common_to; ++t, value += tile.value_width) {
    if (column == 0) fetch_row(tile.next_values, t, tile.value_width);
    V values[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) values[j] = load_cached<S>(value + j * S::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const V weight = S::set(weights[r * kChunk + t]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sums[r][j] = S::fma(weight, values[j], sums[r][j]);
    }
  }
  const int64_t stride = partial_floats(tile.value_width);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    add_positions<S, kVectors>(tile, weights + r * kChunk, {common_to, tile.seen_to[r]}, column, sums[r]);
    float* state = tile.state + r * stride + column;
    const V a = S::set(factors.a[r]);
    const V b = S::set(factors.b[r]);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      V sum = sums[r][j];
      if (!tile.first) sum = S::fma(S::load(state + j * S::kLanes), a, S::multiply(sum, b));
      S::store(state + j * S::kLanes, sum);
    }
  }
}

/// Columns that do not fill a vector.
template <class S, int kRows, class Cached>
inline void tile_rest(const ChunkTile<Cached>& tile, const float* weights, const MergeFactors& factors,
                      int32_t column) {
  const int64_t stride = partial_floats(tile.value_width);
  for (int r = 0; r < kRows; ++r) {
    for (int32_t c = column; c < tile.value_width; ++c) {
      float sum = 0.0F;
      for (int32_t t = tile.seen_from[r]; t < tile.seen_to[r]; ++t) {
        const float value = load_cached_one<S>(tile.values + t * tile.value_width + c);
        sum = __builtin_fmaf(weights[r * kChunk + t], value, sum);
      }
      float& state = tile.state[r * stride + c];
      state = tile.first ? sum : __builtin_fmaf(state, factors.a[r], sum * factors.b[r]);
    }
  }
}

template <class S, int kRows, class Cached>
void attend_tile(const ChunkTile<Cached>& tile) {
  alignas(64) float scores[kRows * kChunk];
  tile_scores<S, kRows>(tile, scores);
  const int64_t stride = partial_floats(tile.value_width);
  MaximumAndSum chunk[kRows];
  MergeFactors factors;
  float maxima[kRows];
  for (int r = 0; r < kRows; ++r) {
    chunk[r] = softmax_chunk<S>(scores + r * kChunk, tile.seen_from[r], tile.seen_to[r]);
    maxima[r] = chunk[r].maximum;
    if (tile.first) continue;
    const float before = tile.state[r * stride + tile.value_width];
    if (before > maxima[r]) maxima[r] = before;
    factors.a[r] = before - maxima[r];
    factors.b[r] = chunk[r].maximum - maxima[r];
  }
  if (!tile.first) exponentiate<S>(factors);
  int32_t column = 0;
  for (; column + S::kTileVectors * S::kLanes <= tile.value_width; column += S::kTileVectors * S::kLanes) {
    tile_outputs<S, kRows, S::kTileVectors>(tile, scores, factors, column);
  }
  if constexpr (S::kTileVectors > 1) {
    for (; column + S::kLanes <= tile.value_width; column += S::kLanes) {
      tile_outputs<S, kRows, 1>(tile, scores, factors, column);
    }
  }
  if (column < tile.value_width) tile_rest<S, kRows>(tile, scores, factors, column);
  for (int r = 0; r < kRows; ++r) {
    float* state = tile.state + r * stride + tile.value_width;
    state[0] = maxima[r];
    state[1] = tile.first ? chunk[r].sum : __builtin_fmaf(state[1], factors.a[r], chunk[r].sum * factors.b[r]);
  }
}

/// attend_tile of `rows` <= kRows rows: compile-time row counts keep the accumulators in registers.
template <class S, int kRows, class Cached>
inline void attend_rows(int32_t rows, const ChunkTile<Cached>& tile) {
  if (rows == kRows) {
    attend_tile<S, kRows>(tile);
  } else if constexpr (kRows > 1) {
    attend_rows<S, kRows - 1>(rows, tile);
  }
}

/// The partial of one row and the one to its right.
template <class S>
void merge_row(float* left, const float* right, int32_t value_width) {
  const float m1 = left[value_width];
  const float m2 = right[value_width];
  const float maximum = m1 > m2 ? m1 : m2;
  MergeFactors factors;
  factors.a[0] = m1 - maximum;
  factors.b[0] = m2 - maximum;
  exponentiate<S>(factors);
  const float a = factors.a[0];
  const float b = factors.b[0];
  int32_t c = 0;
  for (; c + S::kLanes <= value_width; c += S::kLanes) {
    S::store(left + c, S::fma(S::load(left + c), S::set(a), S::multiply(S::load(right + c), S::set(b))));
  }
  for (; c < value_width; ++c) left[c] = __builtin_fmaf(left[c], a, right[c] * b);
  left[value_width] = maximum;
  left[value_width + 1] = __builtin_fmaf(left[value_width + 1], a, right[value_width + 1] * b);
}

/// The partial of one row and its sink: a score without a value.
template <class S>
void merge_sink(float* state, float sink, int32_t value_width) {
  const float before = state[value_width];
  const float maximum = before > sink ? before : sink;
  MergeFactors factors;
  factors.a[0] = before - maximum;
  factors.b[0] = sink - maximum;
  exponentiate<S>(factors);
  const float a = factors.a[0];
  for (int32_t c = 0; c < value_width; ++c) state[c] = __builtin_fmaf(state[c], a, 0.0F);
  state[value_width] = maximum;
  state[value_width + 1] = __builtin_fmaf(state[value_width + 1], a, factors.b[0]);
}

/// The first position that a query at `position` sees.
inline int32_t window_start(int32_t position, int32_t window) {
  return window > 0 && position >= window ? position - window + 1 : 0;
}

/// The result of one row.
template <class S>
void normalise_row(const float* state, int32_t value_width, float* out) {
  const float inverse = 1.0F / state[value_width + 1];
  for (int32_t c = 0; c < value_width; ++c) out[c] = state[c] * inverse;
}

/// One pass of a block over its chunks.
template <class S>
class BlockPass {
 public:
  explicit BlockPass(const AttentionBlock& block)
      : block_(block),
        n_rows_(block.n_tokens * block.group),
        stride_(partial_floats(block.value_width)),
        queries_(block.scratch),
        keys_(queries_ + static_cast<int64_t>(n_rows_) * block.key_width),
        values_(keys_ + static_cast<int64_t>(kChunk) * block.key_width),
        total_(values_ + static_cast<int64_t>(kChunk) * block.value_width),
        span_(total_ + n_rows_ * stride_) {}

  void run() {
    scale_queries();
    const bool to_partials = block_.result != AttentionResult::kFinal;
    const bool by_chunk = block_.result == AttentionResult::kChunkPartials;
    float* state = to_partials ? block_.partials : total_;
    for (int32_t chunk = block_.first_chunk; chunk < block_.end_chunk; ++chunk) {
      const bool first = by_chunk || chunk % kSpanChunks == 0;
      if (first && chunk != block_.first_chunk) {
        if (to_partials) {
          state += n_rows_ * stride_;
        } else {
          finish_span(chunk);
          state = span_;
        }
      }
      // The windows of later rows may begin in this chunk, so that they have nothing of this span yet.
      const int32_t from = first_row(chunk);
      const int32_t to = end_row(chunk * kChunk + kChunk - 1);
      const int32_t begun = first ? from : end_row(chunk * kChunk - 1);
      if (from < to) attend_chunk(chunk, state, {from, begun < from ? from : begun, to});
    }
    if (!to_partials) {
      finish_span(block_.end_chunk);
      write_out();
    }
  }

 private:
  void scale_queries() {
    for (int32_t r = 0; r < n_rows_; ++r) {
      const float* query = block_.queries + r / block_.group * block_.queries_stride +
                           static_cast<int64_t>(r % block_.group) * block_.key_width;
      float* scaled = queries_ + static_cast<int64_t>(r) * block_.key_width;
      for (int32_t d = 0; d < block_.key_width; ++d) scaled[d] = query[d] * block_.scale;
    }
  }

  /// Rows that see a position of a chunk: [from, begun) have seen earlier ones of the same partial, [begun, to) have
  /// not.
  struct Rows {
    int32_t from;
    int32_t begun;
    int32_t to;
  };

  /// The first row that is not wholly before the chunk.
  int32_t first_row(int32_t chunk) const {
    const int32_t token = chunk * kChunk - block_.first_position;
    return token > 0 ? token * block_.group : 0;
  }
  /// The first row whose window begins after this position: n_rows_ if there is none.
  int32_t end_row(int32_t position) const {
    if (block_.window == 0) return position < 0 ? 0 : n_rows_;
    const int32_t token = position - block_.first_position + block_.window;
    if (position < 0 || token <= 0) return 0;
    return token < block_.n_tokens ? token * block_.group : n_rows_;
  }
  int32_t position_of(int32_t row) const { return block_.first_position + row / block_.group; }

  void attend_chunk(int32_t chunk, float* state, const Rows& rows) {
    const uint16_t* keys = page(chunk) + block_.key_offset;
    const uint16_t* values = page(chunk) + block_.value_offset;
    if (rows.to - rows.from <= 2 * S::kTileRows && !block_.values_are_keys) {
      const uint16_t* next = page(chunk + 1 < block_.end_chunk ? chunk + 1 : chunk);
      attend_tiles<uint16_t>({.queries = nullptr,
                              .keys = keys,
                              .values = values,
                              .key_width = block_.key_width,
                              .value_width = block_.value_width,
                              .seen_from = nullptr,
                              .seen_to = nullptr,
                              .state = state,
                              .first = false,
                              .next_keys = next + block_.key_offset,
                              .next_values = next + block_.value_offset},
                             chunk, rows);
      return;
    }
    for (int32_t i = 0; i < kChunk * block_.key_width; i += S::kLanes) S::store(keys_ + i, S::load_half(keys + i));
    if (block_.values_are_keys) {
      for (int32_t t = 0; t < kChunk; ++t) {
        for (int32_t d = 0; d < block_.value_width; ++d) values_[t * block_.value_width + d] = keys_[d * kChunk + t];
      }
    } else {
      for (int32_t i = 0; i < kChunk * block_.value_width; i += S::kLanes) {
        S::store(values_ + i, S::load_half(values + i));
      }
    }
    attend_tiles<float>({.queries = nullptr,
                         .keys = keys_,
                         .values = values_,
                         .key_width = block_.key_width,
                         .value_width = block_.value_width,
                         .seen_from = nullptr,
                         .seen_to = nullptr,
                         .state = state,
                         .first = false,
                         .next_keys = nullptr,
                         .next_values = nullptr},
                        chunk, rows);
  }

  const uint16_t* page(int32_t chunk) const { return block_.pool + block_.pages[chunk] * block_.page_halves; }

  template <class Cached>
  void attend_tiles(ChunkTile<Cached> all, int32_t chunk, const Rows& rows) {
    attend_tiles(all, chunk, rows.from, rows.begun);
    all.first = true;
    attend_tiles(all, chunk, rows.begun, rows.to);
  }

  /// `all`: the chunk and the state of row 0; each tile of the rows [from, to) gets its own queries, positions and
  /// state.
  template <class Cached>
  void attend_tiles(const ChunkTile<Cached>& all, int32_t chunk, int32_t from, int32_t to) {
    const int32_t n_tiles = (to - from + S::kTileRows - 1) / S::kTileRows;
    for (int32_t i = 0; i < n_tiles; ++i) {
      // Even tiles: seven rows as 4 + 3 rather than 6 + 1, which would wait for its sums.
      const int32_t begin = from + (to - from) * i / n_tiles;
      const int32_t end = from + (to - from) * (i + 1) / n_tiles;
      int32_t seen_from[S::kTileRows];
      int32_t seen_to[S::kTileRows];
      for (int32_t r = begin; r < end; ++r) {
        const int32_t first = window_start(position_of(r), block_.window) - chunk * kChunk;
        const int32_t sees = position_of(r) - chunk * kChunk + 1;
        seen_from[r - begin] = first > 0 ? first : 0;
        seen_to[r - begin] = sees < kChunk ? sees : kChunk;
      }
      ChunkTile<Cached> tile = all;
      tile.queries = queries_ + static_cast<int64_t>(begin) * block_.key_width;
      tile.seen_from = seen_from;
      tile.seen_to = seen_to;
      tile.state = all.state + begin * stride_;
      attend_rows<S, S::kTileRows>(end - begin, tile);
    }
  }

  /// Merges a finished span, the one before `end_chunk`, into the total, unless it is the first and lies there already.
  void finish_span(int32_t end_chunk) {
    const int32_t span_start = (end_chunk - 1) / kSpanChunks * kSpanChunks;
    if (span_start <= block_.first_chunk) return;
    const int32_t begun = end_row(span_start * kChunk - 1);
    const int32_t end = end_row(end_chunk * kChunk - 1);
    for (int32_t r = first_row(span_start); r < end; ++r) {
      float* total = total_ + r * stride_;
      const float* span = span_ + r * stride_;
      if (r < begun) {
        merge_row<S>(total, span, block_.value_width);
      } else {
        for (int64_t i = 0; i < stride_; ++i) total[i] = span[i];
      }
    }
  }

  void write_out() {
    for (int32_t r = 0; r < n_rows_; ++r) {
      if (block_.sinks != nullptr) {
        merge_sink<S>(total_ + r * stride_, block_.sinks[r % block_.group], block_.value_width);
      }
      float* out = block_.out + r / block_.group * block_.out_stride +
                   static_cast<int64_t>(r % block_.group) * block_.value_width;
      normalise_row<S>(total_ + r * stride_, block_.value_width, out);
    }
  }

  const AttentionBlock& block_;
  int32_t n_rows_;
  int64_t stride_;
  float* queries_;  // [rows][key_width], scaled
  float* keys_;     // [key_width][64]
  float* values_;   // [64][value_width]
  float* total_;    // [rows][partial_floats]
  float* span_;     // the same, of the span under way
};

template <class S>
void attend_block(const AttentionBlock& block) {
  BlockPass<S>(block).run();
}

template <class S>
void merge_partials(const PartialMerge& merge) {
  const int64_t stride = partial_floats(merge.value_width);
  const int64_t partial_stride = merge.n_rows * stride;
  const int32_t per_span = merge.partials_per_span;
  const int32_t positions = kSpanChunks * kChunk / per_span;  // of one partial
  const int32_t origin = merge.first_chunk * kChunk;
  for (int32_t r = 0; r < merge.n_rows; ++r) {
    const int32_t position = merge.first_position + r / merge.group;
    const int32_t first = (window_start(position, merge.window) - origin) / positions;
    const int32_t last = (position - origin) / positions;
    const auto partial = [&](int32_t i) { return merge.partials + r * stride + i * partial_stride; };
    float* total = partial(first);
    float* left = total;  // of the span under way
    for (int32_t i = first + 1; i <= last; ++i) {
      if (i % per_span != 0) {
        merge_row<S>(left, partial(i), merge.value_width);
        continue;
      }
      if (left != total) merge_row<S>(total, left, merge.value_width);
      left = partial(i);
    }
    if (left != total) merge_row<S>(total, left, merge.value_width);
    if (merge.sinks != nullptr) merge_sink<S>(total, merge.sinks[r % merge.group], merge.value_width);
    float* out =
        merge.out + r / merge.group * merge.out_stride + static_cast<int64_t>(r % merge.group) * merge.value_width;
    normalise_row<S>(total, merge.value_width, out);
  }
}

}  // namespace megalith::cpu
