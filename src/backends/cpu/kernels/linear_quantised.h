#pragma once
// Matmul kernels of quantised weights, over the vectors V of an instruction set and the unpacking F of a format.
// Lanes are rows: the codes of 4 columns lie in the 4 bytes of each lane, an activation dword is broadcast to all.
// So lanes never meet, and any number of lanes gives the same bits.
//   direct: up to V::kDirectTokens tokens; unpacked codes stay in registers (decode, bound by memory)
//   tiled:  codes of a superblock are unpacked to L1 once and serve all tokens (prefill, bound by arithmetic)
#include "backends/cpu/formats/unpacking.h"
#include "backends/cpu/kernels/linear_tiles.h"

namespace megalith::cpu {

constexpr int kTileTokens = kBlockTokens;
constexpr int64_t kPrefetchBytes = 512;  // ahead in each row: 256 to 1024 measured equal

/// Sums of code * activation for kRowVectors x kTokens outputs over 4 * kCount columns, added to `sums`.
/// codes(r, c) gives vectors, x(t, c) the place of 4 activations, or a vector of them. Codes of kBits: 8 are signed,
/// or, with dot4, biased by 128.
template <class V, int kBits, int kCount, int kRowVectors, int kTokens, class Codes, class X>
MEGALITH_INLINE void dot_tile(const Codes& codes, const X& x, typename V::Int (&sums)[kRowVectors][kTokens]) {
  using Int = typename V::Int;
  if constexpr (V::kHasDot4 && kRowVectors == 1) {
    for (int c = 0; c < kCount; ++c) {
      const Int w = codes(0, c);
      for (int t = 0; t < kTokens; ++t) sums[0][t] = V::dot4_broadcast(sums[0][t], w, x(t, c));
    }
  } else if constexpr (V::kHasDot4) {
    for (int c = 0; c < kCount; ++c) {
      Int w[kRowVectors];
      for (int r = 0; r < kRowVectors; ++r) w[r] = codes(r, c);
      for (int t = 0; t < kTokens; ++t) {
        const Int xt = V::broadcast(x(t, c));
        for (int r = 0; r < kRowVectors; ++r) sums[r][t] = V::dot4(sums[r][t], w[r], xt);
      }
    }
  } else if constexpr (kBits == 8) {
    for (int c = 0; c < kCount; ++c) {
      for (int r = 0; r < kRowVectors; ++r) {
        const typename V::SignedCodes w = V::split_sign(codes(r, c));
        for (int t = 0; t < kTokens; ++t) {
          sums[r][t] = V::add32(sums[r][t], V::madd16(V::madd8_signed(w, V::broadcast(x(t, c))), V::ones16()));
          V::pin(sums[r][t]);
        }
      }
    }
  } else {
    // So many pairs of products fit an int16: 2 * 15 * 127 * 8, 2 * 31 * 127 * 4, 2 * 63 * 127 * 2.
    constexpr int kLimit = kBits == 4 ? 8 : kBits == 5 ? 4 : 2;
    constexpr int kRun = kLimit < kCount ? kLimit : kCount;
    for (int begin = 0; begin < kCount; begin += kRun) {
      Int narrow[kRowVectors][kTokens];
      for (int c = begin; c < begin + kRun; ++c) {
        Int w[kRowVectors];
        for (int r = 0; r < kRowVectors; ++r) w[r] = codes(r, c);
        for (int t = 0; t < kTokens; ++t) {
          const Int xt = V::broadcast(x(t, c));
          for (int r = 0; r < kRowVectors; ++r) {
            const Int products = V::madd8(w[r], xt);
            narrow[r][t] = c == begin ? products : V::add16(narrow[r][t], products);
            V::pin(narrow[r][t]);
          }
        }
      }
      for (int r = 0; r < kRowVectors; ++r) {
        for (int t = 0; t < kTokens; ++t) {
          sums[r][t] = V::add32(sums[r][t], V::madd16(narrow[r][t], V::ones16()));
        }
      }
    }
  }
}

/// log2 of what the codes in registers are above the contract's: the format's bias, or 128 of signed codes under dot4.
template <class V, class F>
constexpr int bias_shift() {
  int bias = F::kBits == 8 && V::kHasDot4 ? 128 : F::kBias;
  int shift = 0;
  for (; bias > 1; bias /= 2) ++shift;
  return shift;
}

/// What the sums start from, given the sum of the activations.
template <class V, class F>
MEGALITH_INLINE typename V::Int first_sum(const int32_t* activation_sum) {
  constexpr int kShift = bias_shift<V, F>();
  if constexpr (kShift == 0) {
    return V::zero();
  } else {
    return V::sub32(V::zero(), V::template left<kShift>(V::broadcast(activation_sum)));
  }
}

/// One group of kRowVectors x kTokens outputs: the integer sums, then the float terms in the contract's order.
/// weights.codes(r, c), .scale(r), .minus_offset(r), .subscale(r, half); x(t) is the group of token t.
template <class V, class F, int kRowVectors, int kTokens, class Weights, class X>
MEGALITH_INLINE void add_group(const Weights& weights, const X& x, typename V::Float (&outputs)[kRowVectors][kTokens]) {
  using Int = typename V::Int;
  using Float = typename V::Float;
  Float products[kRowVectors][kTokens];
  constexpr int kHalves = F::kHasSubscales ? 2 : 1;
  constexpr int kCount = 8 / kHalves;
  for (int half = 0; half < kHalves; ++half) {
    Int sums[kRowVectors][kTokens];
    for (int t = 0; t < kTokens; ++t) {
      const Int first = first_sum<V, F>(F::kHasSubscales ? &x(t).half_sums[half] : &x(t).sum);
      for (int r = 0; r < kRowVectors; ++r) sums[r][t] = first;
    }
    dot_tile<V, F::kBits, kCount>(
        [&](int r, int c) MEGALITH_INLINE_LAMBDA { return weights.codes(r, half * kCount + c); },
        [&](int t, int c) MEGALITH_INLINE_LAMBDA { return x(t).codes + (half * kCount + c) * 4; }, sums);
    for (int t = 0; t < kTokens; ++t) {
      for (int r = 0; r < kRowVectors; ++r) {
        const Float sum = V::to_float(sums[r][t]);
        if constexpr (!F::kHasSubscales) {
          products[r][t] = sum;
        } else if (half == 0) {
          products[r][t] = V::mul(sum, weights.subscale(r, 0));
        } else {
          // Exact, like the integer sum it stands for: all partial sums stay below 2^24.
          products[r][t] = V::fma(sum, weights.subscale(r, 1), products[r][t]);
        }
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    const Float x_scale = V::broadcast_float(&x(t).scale);
    for (int r = 0; r < kRowVectors; ++r) {
      outputs[r][t] = V::fma(V::mul(weights.scale(r), x_scale), products[r][t], outputs[r][t]);
    }
    if constexpr (F::kHasOffset) {
      const Float x_sum = V::broadcast_float(&x(t).scaled_sum);
      for (int r = 0; r < kRowVectors; ++r) outputs[r][t] = V::fma(weights.minus_offset(r), x_sum, outputs[r][t]);
    }
  }
}

template <class V>
struct GroupInRegisters {
  const UnpackedGroup<V>& group;
  [[gnu::always_inline]] typename V::Int codes(int, int c) const { return group.codes[c]; }
  [[gnu::always_inline]] typename V::Float scale(int) const { return group.scale; }
  [[gnu::always_inline]] typename V::Float minus_offset(int) const { return group.minus_offset; }
  [[gnu::always_inline]] typename V::Float subscale(int, int half) const { return group.subscales[half]; }
};

template <class V, class F>
MEGALITH_INLINE void bias_signed_codes(UnpackedGroup<V>& group) {
  if constexpr (F::kBits == 8 && V::kHasDot4) {
    for (int c = 0; c < 8; ++c) group.codes[c] = V::bit_xor(group.codes[c], V::set8(0x80));
  }
}

/// Prefetches what the rows of a tile will need kPrefetchBytes later, row by row, so that the requests do not come in
/// bursts that fill the miss buffers and hold up the loads.
template <class F>
struct RowPrefetcher {
  static constexpr int kLines = (F::kBlockBytes * (8 / F::kBlockGroups) + 63) / 64;  // of a superblock of one row
  const uint8_t* next;
  int64_t stride;
  int64_t rows;
  [[gnu::always_inline]] RowPrefetcher(const uint8_t* first, int64_t stride_bytes, int64_t n_rows)
      : next(first + kPrefetchBytes), stride(stride_bytes), rows(n_rows) {}
  [[gnu::always_inline]] void one_row() {
    for (int line = 0; line < kLines; ++line) __builtin_prefetch(next + line * 64, 0, 3);
    next += stride;
  }
  [[gnu::always_inline]] void one_row_if_left() {
    if (rows-- > 0) one_row();
  }
};

template <class V, class F, int kBlock, class Sink>
MEGALITH_INLINE void unpack_run(const typename V::Cursor& rows,
                                typename BlockRun<V, F::kBlockBytes, kBlock>::Chunks& chunks, Sink&& sink) {
  if constexpr (kBlock < kSuperblockGroups) {
    using Run = BlockRun<V, F::kBlockBytes, kBlock>;
    Run::load(rows, chunks);
    UnpackedGroup<V> group;
    F::template unpack<V>(Run{chunks}, group);
    sink(kBlock, group);
    unpack_run<V, F, kBlock + 1>(rows, chunks, sink);
  }
}

/// Calls sink(g, group) for the groups of one superblock and moves the cursor past it.
template <class V, class F, class Sink>
MEGALITH_INLINE void unpack_superblock(typename V::Cursor& rows, int64_t n_groups, Sink&& sink) {
  const auto give = [&](int64_t g, UnpackedGroup<V>& group) MEGALITH_INLINE_LAMBDA {
    bias_signed_codes<V, F>(group);
    sink(g, group);
  };
  if constexpr (F::kBlockGroups == kSuperblockGroups) {
    F::template unpack<V>(rows, give);
    rows.advance(F::kBlockBytes);
  } else if (n_groups == kSuperblockGroups) {
    typename BlockRun<V, F::kBlockBytes, 0>::Chunks chunks;
    unpack_run<V, F, 0>(rows, chunks, give);
    rows.advance(F::kBlockBytes * kSuperblockGroups);
  } else {
    for (int64_t g = 0; g < n_groups; ++g) {
      UnpackedGroup<V> group;
      F::template unpack<V>(LoneBlock<V, F::kBlockBytes>(rows), group);
      give(g, group);
      rows.advance(F::kBlockBytes);
    }
  }
}

MEGALITH_INLINE int64_t groups_of_superblock(int64_t n_groups, int64_t superblock) {
  const int64_t left = n_groups - superblock * kSuperblockGroups;
  return left < kSuperblockGroups ? left : kSuperblockGroups;
}

template <class V, class F, int kTokens>
[[gnu::noinline]] void direct_tile(const LinearTask& task, const RowTile& tile) {
  typename V::Cursor rows(task.bytes + tile.first * task.row_bytes, tile.stride * task.row_bytes);
  typename V::Float outputs[1][kTokens];
  for (int t = 0; t < kTokens; ++t) outputs[0][t] = V::zero_float();
  const int64_t n_groups = task.columns / 32;
  constexpr int kBlock = kTokens < kBlockTokens ? kTokens : kBlockTokens;
  const ActivationGroup* x = task.groups + task.token_begin * kSuperblockGroups;
  for (int64_t s = 0; s * kSuperblockGroups < n_groups; ++s) {
    RowPrefetcher<F> prefetcher(rows.quad[0], rows.stride, V::kLanes);
    unpack_superblock<V, F>(rows, groups_of_superblock(n_groups, s),
                            [&](int64_t g, const UnpackedGroup<V>& group) MEGALITH_INLINE_LAMBDA {
                              for (int r = 0; r < V::kLanes / 8; ++r) prefetcher.one_row();
                              add_group<V, F, 1, kTokens>(
                                  GroupInRegisters<V>{group},
                                  [&](int t) MEGALITH_INLINE_LAMBDA -> const ActivationGroup& {
                                    return x[t / kBlock * kBlock * kSuperblockGroups + g * kBlock + t % kBlock];
                                  },
                                  outputs);
                            });
    x += task.padded_tokens * kSuperblockGroups;
  }
  for (int t = 0; t < kTokens && task.token_begin + t < task.token_end; ++t) {
    alignas(64) float values[V::kLanes];
    V::store_float(values, outputs[0][t]);
    store_tile<V::kLanes>(task, tile, task.token_begin + t, values);
  }
}

template <class V, class F, int kTokens>
void direct_rows(const LinearTask& task) {
  streaming_tiles<V::kLanes>(task, [&](const RowTile& tile) { direct_tile<V, F, kTokens>(task, tile); });
}

/// The unpacked codes of one group for one row vector, in L1.
template <class V>
struct StoredGroup {
  alignas(64) uint8_t codes[8][V::kLanes * 4];
  float scale[V::kLanes];
  float minus_offset[V::kLanes];
  float subscales[2][V::kLanes];
};

template <class V, int kRowVectors>
struct StoredWeights {
  const StoredGroup<V>* groups;  // [kRowVectors]
  [[gnu::always_inline]] typename V::Int codes(int r, int c) const { return V::load(groups[r].codes[c]); }
  [[gnu::always_inline]] typename V::Float scale(int r) const { return V::load_float(groups[r].scale); }
  [[gnu::always_inline]] typename V::Float minus_offset(int r) const { return V::load_float(groups[r].minus_offset); }
  [[gnu::always_inline]] typename V::Float subscale(int r, int half) const {
    return V::load_float(groups[r].subscales[half]);
  }
};

template <class V, int kRowVectors>
struct TileFrame {
  StoredGroup<V> groups[kSuperblockGroups][kRowVectors];
  alignas(64) float outputs[kTaskTokens][kRowVectors][V::kLanes];
};

template <class V, class F>
MEGALITH_INLINE void store_group(const UnpackedGroup<V>& group, StoredGroup<V>& stored) {
  for (int c = 0; c < 8; ++c) V::store(stored.codes[c], group.codes[c]);
  V::store_float(stored.scale, group.scale);
  if constexpr (F::kHasOffset) V::store_float(stored.minus_offset, group.minus_offset);
  if constexpr (F::kHasSubscales) {
    V::store_float(stored.subscales[0], group.subscales[0]);
    V::store_float(stored.subscales[1], group.subscales[1]);
  }
}

template <class V, class F, int kRowVectors>
[[gnu::noinline]] void multiply_superblock(TileFrame<V, kRowVectors>& frame, const ActivationGroup* x, int64_t n_tokens,
                                           int64_t n_groups, RowPrefetcher<F> prefetcher) {
  for (int64_t token = 0; token < n_tokens; token += kTileTokens) {
    typename V::Float outputs[kRowVectors][kTileTokens];
    for (int t = 0; t < kTileTokens; ++t) {
      for (int r = 0; r < kRowVectors; ++r) outputs[r][t] = V::load_float(frame.outputs[token + t][r]);
    }
    for (int64_t g = 0; g < n_groups; ++g) {
      prefetcher.one_row_if_left();
      add_group<V, F, kRowVectors, kTileTokens>(
          StoredWeights<V, kRowVectors>{frame.groups[g]},
          [&](int t) MEGALITH_INLINE_LAMBDA -> const ActivationGroup& {
            return x[token * kSuperblockGroups + g * kTileTokens + t];
          },
          outputs);
    }
    for (int t = 0; t < kTileTokens; ++t) {
      for (int r = 0; r < kRowVectors; ++r) V::store_float(frame.outputs[token + t][r], outputs[r][t]);
    }
  }
}

template <class V, class F>
[[gnu::noinline]] void store_superblock(typename V::Cursor& rows, int64_t n_groups, StoredGroup<V>* groups,
                                        int64_t row_vectors) {
  unpack_superblock<V, F>(rows, n_groups, [&](int64_t g, const UnpackedGroup<V>& group) MEGALITH_INLINE_LAMBDA {
    store_group<V, F>(group, groups[g * row_vectors]);
  });
}

/// The lanes of a tile that belong to row vector r of it.
template <class V>
MEGALITH_INLINE RowTile row_vector(const RowTile& tile, int r) {
  return {tile.first + r * V::kLanes * tile.stride, tile.stride, tile.begin - r * V::kLanes, tile.end - r * V::kLanes};
}

template <class V, class F, int kRowVectors>
[[gnu::noinline]] void multiply_tile(const LinearTask& task, const RowTile& tile, TileFrame<V, kRowVectors>& frame) {
  const int64_t tokens = task.token_end - task.token_begin;
  for (int64_t token = 0; token < padded_tokens(tokens); ++token) {
    for (int r = 0; r < kRowVectors; ++r) V::store_float(frame.outputs[token][r], V::zero_float());
  }
  const int64_t stride = tile.stride * task.row_bytes;
  const uint8_t* first = task.bytes + tile.first * task.row_bytes;
  static_assert(kRowVectors <= 2);
  typename V::Cursor rows[2] = {{first, stride}, {first + (kRowVectors - 1) * V::kLanes * stride, stride}};
  const int64_t n_groups = task.columns / 32;
  const ActivationGroup* x = task.groups + task.token_begin * kSuperblockGroups;
  for (int64_t s = 0; s * kSuperblockGroups < n_groups; ++s) {
    const int64_t count = groups_of_superblock(n_groups, s);
    for (int r = 0; r < kRowVectors; ++r) store_superblock<V, F>(rows[r], count, &frame.groups[0][r], kRowVectors);
    multiply_superblock<V, F, kRowVectors>(frame, x, tokens, count,
                                           RowPrefetcher<F>(rows[0].quad[0], stride, kRowVectors * V::kLanes));
    x += task.padded_tokens * kSuperblockGroups;
  }
  for (int64_t token = 0; token < tokens; ++token) {
    for (int r = 0; r < kRowVectors; ++r) {
      store_tile<V::kLanes>(task, row_vector<V>(tile, r), task.token_begin + token, frame.outputs[token][r]);
    }
  }
}

template <class V, class F>
void tiled_rows(const LinearTask& task) {
  constexpr bool kOneRegisterSums = V::kHasDot4 || F::kBits == 4;
  constexpr int kRowVectors = kOneRegisterSums ? V::kRowVectors : V::kWideRowVectors;
  TileFrame<V, kRowVectors> frame;
  streaming_tiles<kRowVectors * V::kLanes>(
      task, [&](const RowTile& tile) { multiply_tile<V, F, kRowVectors>(task, tile, frame); });
}

template <class V, class F>
void linear_quantised(const LinearTask& task) {
  const int64_t tokens = task.token_end - task.token_begin;
  if (task.padded_tokens == 1) return direct_rows<V, F, 1>(task);
  if (task.padded_tokens == 2) return direct_rows<V, F, 2>(task);
  if (tokens <= 4) return direct_rows<V, F, 4>(task);
  if constexpr (V::kDirectTokens == 8) {
    if (tokens <= 8) return direct_rows<V, F, 8>(task);
  }
  tiled_rows<V, F>(task);
}

}  // namespace megalith::cpu
