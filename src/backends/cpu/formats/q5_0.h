#pragma once
// Q5_0: half scale, 32 fifth bits, 16 bytes of nibbles; 22 bytes.
#include "backends/cpu/formats/unpacking.h"

namespace megalith::cpu {

struct UnpackQ5_0 {
  static constexpr int kBits = 5;
  static constexpr int kBias = 16;
  static constexpr bool kHasOffset = false;
  static constexpr bool kHasSubscales = false;
  static constexpr int kBlockBytes = 22;
  static constexpr int kBlockGroups = 1;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    UnpackedGroup<V> group;
    typename V::Int header[4];
    V::transpose(rows, 0, header);
    group.scale = V::half_low(header[0]);
    const typename V::Int fifth_bits = V::bit_or(V::template right<16>(header[0]), V::template left<16>(header[1]));
    unpack_split_nibbles<V>(rows, 6, group.codes);
    add_fifth_bits<V>(group.codes, fifth_bits);
    sink(0, group);
  }
};

}  // namespace megalith::cpu
