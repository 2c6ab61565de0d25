#pragma once
// Q8_0: half scale, 32 signed bytes; 34 bytes.
#include "backends/cpu/formats/unpacking.h"

namespace megalith::cpu {

struct UnpackQ8_0 {
  static constexpr int kBits = 8;
  static constexpr int kBias = 0;
  static constexpr bool kHasOffset = false;
  static constexpr bool kHasSubscales = false;
  static constexpr int kBlockBytes = 34;
  static constexpr int kBlockGroups = 1;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    UnpackedGroup<V> group;
    typename V::Int header[4];
    V::transpose(rows, 0, header);
    group.scale = V::half_low(header[0]);
    typename V::Int bytes[4];
    V::transpose(rows, 2, bytes);
    for (int c = 0; c < 4; ++c) group.codes[c] = bytes[c];
    V::transpose(rows, 18, bytes);
    for (int c = 0; c < 4; ++c) group.codes[c + 4] = bytes[c];
    sink(0, group);
  }
};

}  // namespace megalith::cpu
