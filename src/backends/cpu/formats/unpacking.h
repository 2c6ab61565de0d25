#pragma once
// What a format's unpacking gives to the matmul kernels. Each formats/<format>.h is one struct:
//   kBits         4, 5, 6: unsigned codes of so many bits; 8: signed codes
//   kBias         what the contract's codes are less than the unpacked ones (Q4_0: 8)
//   kHasOffset    whether there is an offset term
//   kHasSubscales whether integer scales of 16 multiply the two halves of a group (Q6_K)
//   kBlockBytes, kBlockGroups   of one block along K
//   kBlockGroups 8: unpack(rows, sink) calls sink(g, group) for each group g of the block at the cursor, in order
//   kBlockGroups 1: unpack(bytes, group) takes one block from a BlockRun or a LoneBlock
// V is the instruction set's vectors (isa/int_*.h): lanes are rows, as transpose() makes them.
#include "backends/cpu/kernels/inline.h"

namespace megalith::cpu {

template <class V>
struct UnpackedGroup {
  typename V::Int codes[8];  // 4 bytes of each lane: the codes of columns 4 c ... 4 c + 3
  typename V::Float scale;
  typename V::Float minus_offset;
  typename V::Float subscales[2];
};

/// A block of 32 weights takes 18 to 34 bytes, which 16-byte loads fit badly; eight of them take whole 16-byte chunks.
/// So full superblocks are read as one run, chunk by chunk, and fields are picked from it; offsets within a block are
/// even. This is block kBlock of the run.
template <class V, int kBlockBytes, int kBlock>
struct BlockRun {
  static constexpr int kChunks = 8 * kBlockBytes / 16;
  static_assert(8 * kBlockBytes % 16 == 0);
  static constexpr int kFirstNewChunk = (kBlock * kBlockBytes + 15) / 16;
  static constexpr int kEndChunk = ((kBlock + 1) * kBlockBytes + 15) / 16;
  using Chunks = typename V::Int[kChunks][4];
  const Chunks& chunks;

  /// Loads what the blocks before this one have not.
  MEGALITH_INLINE void load(const typename V::Cursor& rows, Chunks& chunks) {
    for (int chunk = kFirstNewChunk; chunk < kEndChunk; ++chunk) V::transpose(rows, chunk * 16, chunks[chunk]);
  }
  template <int offset>
  [[gnu::always_inline]] typename V::Int dword() const {
    constexpr int kAt = kBlock * kBlockBytes + offset;
    constexpr int kNext = kAt / 4 + 1;
    if constexpr (kAt % 4 == 0) {
      return chunks[kAt / 16][kAt / 4 % 4];
    } else {
      return V::join_halves(chunks[kAt / 16][kAt / 4 % 4], chunks[kNext / 4][kNext % 4]);
    }
  }
  template <int offset>
  [[gnu::always_inline]] typename V::Float half() const {
    constexpr int kAt = kBlock * kBlockBytes + offset;
    const typename V::Int word = chunks[kAt / 16][kAt / 4 % 4];
    return kAt % 4 == 0 ? V::half_low(word) : V::half_high(word);
  }
};

/// A block by itself, at the end of a row: chunks that end with the block, and one at its start for the header.
template <class V, int kBlockBytes>
struct LoneBlock {
  static constexpr int kTailChunks = kBlockBytes / 16;
  static constexpr int kHeaderBytes = kBlockBytes % 16;
  typename V::Int header[4];
  typename V::Int tail[kTailChunks][4];

  [[gnu::always_inline]] explicit LoneBlock(const typename V::Cursor& rows) {
    V::transpose(rows, 0, header);
    for (int chunk = 0; chunk < kTailChunks; ++chunk) V::transpose(rows, kHeaderBytes + chunk * 16, tail[chunk]);
  }
  template <int offset>
  [[gnu::always_inline]] typename V::Int dword() const {
    if constexpr (offset >= kHeaderBytes) {
      constexpr int kAt = offset - kHeaderBytes;
      static_assert(kAt % 4 == 0);
      return tail[kAt / 16][kAt / 4 % 4];
    } else if constexpr (offset % 4 == 0) {
      return header[offset / 4];
    } else {
      return V::join_halves(header[offset / 4], header[offset / 4 + 1]);
    }
  }
  template <int offset>
  [[gnu::always_inline]] typename V::Float half() const {
    return offset % 4 == 0 ? V::half_low(header[offset / 4]) : V::half_high(header[offset / 4]);
  }
};

/// The 16 bytes of nibbles of Q4_0, Q4_1, Q5_0, Q5_1: weights 0-15 low, 16-31 high.
template <class V, int offset, class Bytes>
MEGALITH_INLINE void unpack_split_nibbles(const Bytes& bytes, typename V::Int (&codes)[8]) {
  const typename V::Int words[4] = {bytes.template dword<offset>(), bytes.template dword<offset + 4>(),
                                    bytes.template dword<offset + 8>(), bytes.template dword<offset + 12>()};
  const typename V::Int mask = V::set8(0x0F);
  for (int c = 0; c < 4; ++c) {
    codes[c] = V::bit_and(words[c], mask);
    codes[c + 4] = V::bit_and(V::template right<4>(words[c]), mask);
  }
}

template <class V>
MEGALITH_INLINE void add_fifth_bits(typename V::Int (&codes)[8], typename V::Int bits) {
  codes[0] = V::template with_fifth_bits<0>(codes[0], bits);
  codes[1] = V::template with_fifth_bits<1>(codes[1], bits);
  codes[2] = V::template with_fifth_bits<2>(codes[2], bits);
  codes[3] = V::template with_fifth_bits<3>(codes[3], bits);
  codes[4] = V::template with_fifth_bits<4>(codes[4], bits);
  codes[5] = V::template with_fifth_bits<5>(codes[5], bits);
  codes[6] = V::template with_fifth_bits<6>(codes[6], bits);
  codes[7] = V::template with_fifth_bits<7>(codes[7], bits);
}

}  // namespace megalith::cpu
