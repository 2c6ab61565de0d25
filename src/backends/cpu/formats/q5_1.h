#pragma once
// Q5_1: half scale, half minimum, 32 fifth bits, 16 bytes of nibbles; 24 bytes.
#include "backends/cpu/formats/unpacking.h"

namespace megalith::cpu {

struct UnpackQ5_1 {
  static constexpr int kBits = 5;
  static constexpr int kBias = 0;
  static constexpr bool kHasOffset = true;
  static constexpr bool kHasSubscales = false;
  static constexpr int kBlockBytes = 24;
  static constexpr int kBlockGroups = 1;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    UnpackedGroup<V> group;
    typename V::Int header[4];
    V::transpose(rows, 0, header);
    group.scale = V::half_low(header[0]);
    group.minus_offset = V::half_high(header[0]);
    unpack_split_nibbles<V>(rows, 8, group.codes);
    add_fifth_bits<V>(group.codes, header[1]);
    sink(0, group);
  }
};

}  // namespace megalith::cpu
