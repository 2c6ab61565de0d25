#pragma once
// Q4_K: 16 header bytes, then four times 32 bytes of nibbles, low ones for one group and high ones for the next.
#include "backends/cpu/formats/k_scales.h"

namespace megalith::cpu {

struct UnpackQ4_K {
  static constexpr int kBits = 4;
  static constexpr int kBias = 0;
  static constexpr bool kHasOffset = true;
  static constexpr bool kHasSubscales = false;
  static constexpr int kBlockBytes = 144;
  static constexpr int kBlockGroups = 8;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    const KScales<V> scales = KScales<V>::load(rows);
    unpack_pair<V, 0>(rows, scales, sink);
    unpack_pair<V, 1>(rows, scales, sink);
    unpack_pair<V, 2>(rows, scales, sink);
    unpack_pair<V, 3>(rows, scales, sink);
  }

 private:
  template <class V, int pair, class Sink>
  MEGALITH_INLINE void unpack_pair(const typename V::Cursor& rows, const KScales<V>& scales, Sink&& sink) {
    typename V::Int first[4];
    typename V::Int second[4];
    V::transpose(rows, 16 + pair * 32, first);
    V::transpose(rows, 32 + pair * 32, second);
    const typename V::Int mask = V::set8(0x0F);
    UnpackedGroup<V> group;
    scales.template apply<2 * pair>(group);
    for (int c = 0; c < 4; ++c) {
      group.codes[c] = V::bit_and(first[c], mask);
      group.codes[c + 4] = V::bit_and(second[c], mask);
    }
    sink(2 * pair, group);
    scales.template apply<2 * pair + 1>(group);
    for (int c = 0; c < 4; ++c) {
      group.codes[c] = V::bit_and(V::template right<4>(first[c]), mask);
      group.codes[c + 4] = V::bit_and(V::template right<4>(second[c]), mask);
    }
    sink(2 * pair + 1, group);
  }
};

}  // namespace megalith::cpu
