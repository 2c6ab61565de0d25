#pragma once
// Q5_K: as Q4_K with 32 bytes of fifth bits before the nibbles: bit g of byte i belongs to weight i of group g.
#include "backends/cpu/formats/k_scales.h"

namespace megalith::cpu {

struct UnpackQ5_K {
  static constexpr int kBits = 5;
  static constexpr int kBias = 0;
  static constexpr bool kHasOffset = true;
  static constexpr bool kHasSubscales = false;
  static constexpr int kBlockBytes = 176;
  static constexpr int kBlockGroups = 8;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    const KScales<V> scales = KScales<V>::load(rows);
    typename V::Int fifth_bits[2][4];
    V::transpose(rows, 16, fifth_bits[0]);
    V::transpose(rows, 32, fifth_bits[1]);
    unpack_pair<V, 0>(rows, scales, fifth_bits, sink);
    unpack_pair<V, 1>(rows, scales, fifth_bits, sink);
    unpack_pair<V, 2>(rows, scales, fifth_bits, sink);
    unpack_pair<V, 3>(rows, scales, fifth_bits, sink);
  }

 private:
  /// Bit g of each byte, moved to bit 4 (other bits are garbage).
  template <class V, int g>
  MEGALITH_INLINE typename V::Int to_bit_4(typename V::Int bits) {
    if constexpr (g <= 4) {
      return V::template left<4 - g>(bits);
    } else {
      return V::template right<g - 4>(bits);
    }
  }

  template <class V, int pair, class Sink>
  MEGALITH_INLINE void unpack_pair(const typename V::Cursor& rows, const KScales<V>& scales,
                                   const typename V::Int (&fifth_bits)[2][4], Sink&& sink) {
    typename V::Int nibbles[2][4];
    V::transpose(rows, 48 + pair * 32, nibbles[0]);
    V::transpose(rows, 64 + pair * 32, nibbles[1]);
    const typename V::Int mask = V::set8(0x0F);
    const typename V::Int bit_4 = V::set8(0x10);
    UnpackedGroup<V> group;
    scales.template apply<2 * pair>(group);
    for (int c = 0; c < 8; ++c) {
      group.codes[c] =
          V::masked_or(to_bit_4<V, 2 * pair>(fifth_bits[c / 4][c % 4]), bit_4, V::bit_and(nibbles[c / 4][c % 4], mask));
    }
    sink(2 * pair, group);
    scales.template apply<2 * pair + 1>(group);
    for (int c = 0; c < 8; ++c) {
      group.codes[c] = V::masked_or(to_bit_4<V, 2 * pair + 1>(fifth_bits[c / 4][c % 4]), bit_4,
                                    V::bit_and(V::template right<4>(nibbles[c / 4][c % 4]), mask));
    }
    sink(2 * pair + 1, group);
  }
};

}  // namespace megalith::cpu
