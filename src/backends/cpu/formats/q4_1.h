#pragma once
// Q4_1: half scale, half minimum, 16 bytes of nibbles; 20 bytes.
#include "backends/cpu/formats/unpacking.h"

namespace megalith::cpu {

struct UnpackQ4_1 {
  static constexpr int kBits = 4;
  static constexpr int kBias = 0;
  static constexpr bool kHasOffset = true;
  static constexpr bool kHasSubscales = false;
  static constexpr int kBlockBytes = 20;
  static constexpr int kBlockGroups = 1;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    UnpackedGroup<V> group;
    typename V::Int header[4];
    V::transpose(rows, 0, header);
    group.scale = V::half_low(header[0]);
    group.minus_offset = V::half_high(header[0]);
    unpack_split_nibbles<V>(rows, 4, group.codes);
    sink(0, group);
  }
};

}  // namespace megalith::cpu
