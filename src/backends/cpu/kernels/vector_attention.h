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
  const int32_t* visible;  // [rows] positions that each row sees, 1 to 64, rising
  float* state;            // [rows][partial_floats]
  bool first;              // chunk of the partial: nothing to merge with
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
  for (int panel = 0; panel < tile.visible[kRows - 1]; panel += kPanel) {
    V sums[kRows][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sums[r][j] = S::zero();
    }
    const Cached* key = tile.keys + panel;
    for (int32_t d = 0; d < tile.key_width; ++d, key += kChunk) {
      if (panel == 0) fetch_row(tile.next_keys, d, kChunk);
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
inline MaximumAndSum softmax_chunk(float* scores, int32_t visible) {
  using V = typename S::V;
  constexpr int kVectors = kChunk / S::kLanes;
  const V lowest = S::set(-__builtin_inff());
  V e[kVectors];
  for (int j = 0; j < kVectors; ++j) e[j] = S::load(scores + j * S::kLanes);
  if (visible < kChunk) {
    for (int j = 0; j < kVectors; ++j) e[j] = S::first_lanes(e[j], visible - j * S::kLanes, lowest);
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
  const Cached* value = tile.values + column;
  const int32_t common = tile.visible[0];
  for (int32_t t = 0; t < common; ++t, value += tile.value_width) {
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
    // Later rows of the tile may see a few positions more.
    const Cached* rest = value;
    for (int32_t t = common; t < tile.visible[r]; ++t, rest += tile.value_width) {
      const V weight = S::set(weights[r * kChunk + t]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        sums[r][j] = S::fma(weight, load_cached<S>(rest + j * S::kLanes), sums[r][j]);
      }
    }
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
      for (int32_t t = 0; t < tile.visible[r]; ++t) {
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
    chunk[r] = softmax_chunk<S>(scores + r * kChunk, tile.visible[r]);
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
      const bool first = by_chunk || chunk == block_.first_chunk || chunk % kSpanChunks == 0;
      if (first && chunk != block_.first_chunk) {
        if (to_partials) {
          state += n_rows_ * stride_;
        } else {
          finish_span(chunk);
          state = span_;
        }
      }
      attend_chunk(chunk, state, first);
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

  /// The first row that sees a position of the chunk; later rows do too.
  int32_t first_row(int32_t chunk) const {
    const int32_t token = chunk * kChunk - block_.first_position;
    return token > 0 ? token * block_.group : 0;
  }

  void attend_chunk(int32_t chunk, float* state, bool first) {
    const int32_t from = first_row(chunk);
    const uint16_t* keys = page(chunk) + block_.key_offset;
    const uint16_t* values = page(chunk) + block_.value_offset;
    if (n_rows_ - from <= 2 * S::kTileRows) {
      const uint16_t* next = page(chunk + 1 < block_.end_chunk ? chunk + 1 : chunk);
      attend_tiles<uint16_t>({.queries = nullptr,
                              .keys = keys,
                              .values = values,
                              .key_width = block_.key_width,
                              .value_width = block_.value_width,
                              .visible = nullptr,
                              .state = state,
                              .first = first,
                              .next_keys = next + block_.key_offset,
                              .next_values = next + block_.value_offset},
                             chunk);
      return;
    }
    for (int32_t i = 0; i < kChunk * block_.key_width; i += S::kLanes) S::store(keys_ + i, S::load_half(keys + i));
    for (int32_t i = 0; i < kChunk * block_.value_width; i += S::kLanes) {
      S::store(values_ + i, S::load_half(values + i));
    }
    attend_tiles<float>({.queries = nullptr,
                         .keys = keys_,
                         .values = values_,
                         .key_width = block_.key_width,
                         .value_width = block_.value_width,
                         .visible = nullptr,
                         .state = state,
                         .first = first,
                         .next_keys = nullptr,
                         .next_values = nullptr},
                        chunk);
  }

  const uint16_t* page(int32_t chunk) const { return block_.pool + block_.pages[chunk] * block_.page_halves; }

  /// `all`: the chunk and the state of row 0; each tile gets its own queries, visible and state.
  template <class Cached>
  void attend_tiles(const ChunkTile<Cached>& all, int32_t chunk) {
    const int32_t from = first_row(chunk);
    const int32_t n_tiles = (n_rows_ - from + S::kTileRows - 1) / S::kTileRows;
    for (int32_t i = 0; i < n_tiles; ++i) {
      // Even tiles: seven rows as 4 + 3 rather than 6 + 1, which would wait for its sums.
      const int32_t begin = from + (n_rows_ - from) * i / n_tiles;
      const int32_t end = from + (n_rows_ - from) * (i + 1) / n_tiles;
      int32_t visible[S::kTileRows];
      for (int32_t r = begin; r < end; ++r) {
        const int32_t sees = block_.first_position + r / block_.group - chunk * kChunk + 1;
        visible[r - begin] = sees < kChunk ? sees : kChunk;
      }
      ChunkTile<Cached> tile = all;
      tile.queries = queries_ + static_cast<int64_t>(begin) * block_.key_width;
      tile.visible = visible;
      tile.state = all.state + begin * stride_;
      attend_rows<S, S::kTileRows>(end - begin, tile);
    }
  }

  /// Merges a finished span, the one before `end_chunk`, into the total, unless it is the first.
  void finish_span(int32_t end_chunk) {
    const int32_t span_start = (end_chunk - 1) / kSpanChunks * kSpanChunks;
    if (span_start <= block_.first_chunk) return;
    for (int32_t r = first_row(span_start); r < n_rows_; ++r) {
      merge_row<S>(total_ + r * stride_, span_ + r * stride_, block_.value_width);
    }
  }

  void write_out() {
    for (int32_t r = 0; r < n_rows_; ++r) {
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
  for (int32_t r = 0; r < merge.n_rows; ++r) {
    float* total = merge.partials + r * stride;
    // A partial is of kSpanTokens / partials_per_span positions; the row sees those that begin at or before its own.
    const int32_t last = (merge.first_position + r / merge.group) / (kSpanChunks * kChunk / merge.partials_per_span);
    for (int32_t span = 0; span <= last; span += merge.partials_per_span) {
      float* left = total + span * partial_stride;
      for (int32_t i = 1; i < merge.partials_per_span && span + i <= last; ++i) {
        merge_row<S>(left, left + i * partial_stride, merge.value_width);
      }
      if (span > 0) merge_row<S>(total, left, merge.value_width);
    }
    float* out =
        merge.out + r / merge.group * merge.out_stride + static_cast<int64_t>(r % merge.group) * merge.value_width;
    normalise_row<S>(total, merge.value_width, out);
  }
}

}  // namespace megalith::cpu
