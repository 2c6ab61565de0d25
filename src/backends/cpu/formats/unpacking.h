#pragma once
// What a format's unpacking gives to the matmul kernels. Each formats/<format>.h is one struct:
//   kBits         4, 5, 6: unsigned codes of so many bits; 8: signed codes
//   kBias         what the contract's codes are less than the unpacked ones (Q4_0: 8)
//   kHasOffset    whether there is an offset term
//   kHasSubscales whether integer scales of 16 multiply the two halves of a group (Q6_K)
//   kBlockBytes, kBlockGroups   of one block along K
//   unpack(rows, sink)          calls sink(g, group) for each group g of the block at the cursor, in order
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

/// The 16 bytes of nibbles of Q4_0, Q4_1, Q5_0, Q5_1: weights 0-15 low, 16-31 high.
template <class V>
MEGALITH_INLINE void unpack_split_nibbles(const typename V::Cursor& rows, int64_t offset, typename V::Int (&codes)[8]) {
  typename V::Int bytes[4];
  V::transpose(rows, offset, bytes);
  const typename V::Int mask = V::set8(0x0F);
  for (int c = 0; c < 4; ++c) {
    codes[c] = V::bit_and(bytes[c], mask);
    codes[c + 4] = V::bit_and(V::template right<4>(bytes[c]), mask);
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
