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

  template <class V, class Bytes>
  MEGALITH_INLINE void unpack(const Bytes& bytes, UnpackedGroup<V>& group) {
    group.scale = bytes.template half<0>();
    group.minus_offset = bytes.template half<2>();
    unpack_split_nibbles<V, 8>(bytes, group.codes);
    add_fifth_bits<V>(group.codes, bytes.template dword<4>());
  }
};

}  // namespace megalith::cpu
