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

  template <class V, class Bytes>
  MEGALITH_INLINE void unpack(const Bytes& bytes, UnpackedGroup<V>& group) {
    group.scale = bytes.template half<0>();
    unpack_split_nibbles<V, 2>(bytes, group.codes);
  }
};

}  // namespace megalith::cpu
