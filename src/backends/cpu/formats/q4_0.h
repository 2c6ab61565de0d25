#pragma once
// Q4_0: half scale, 16 bytes of nibbles; 18 bytes.
#include "backends/cpu/formats/unpacking.h"

namespace megalith::cpu {

struct UnpackQ4_0 {
  static constexpr int kBits = 4;
  static constexpr int kBias = 8;
  static constexpr bool kHasOffset = false;
  static constexpr bool kHasSubscales = false;
  static constexpr int kBlockBytes = 18;
  static constexpr int kBlockGroups = 1;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    UnpackedGroup<V> group;
    typename V::Int header[4];
    V::transpose(rows, 0, header);
    group.scale = V::half_low(header[0]);
    unpack_split_nibbles<V>(rows, 2, group.codes);
    sink(0, group);
  }
};

}  // namespace megalith::cpu
