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

  template <class V, class Bytes>
  MEGALITH_INLINE void unpack(const Bytes& bytes, UnpackedGroup<V>& group) {
    group.scale = bytes.template half<0>();
    unpack_split_nibbles<V, 6>(bytes, group.codes);
    add_fifth_bits<V>(group.codes, bytes.template dword<2>());
  }
};

}  // namespace megalith::cpu
