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

  template <class V, class Bytes>
  MEGALITH_INLINE void unpack(const Bytes& bytes, UnpackedGroup<V>& group) {
    group.scale = bytes.template half<0>();
    group.minus_offset = bytes.template half<2>();
    unpack_split_nibbles<V, 4>(bytes, group.codes);
  }
};

}  // namespace megalith::cpu
