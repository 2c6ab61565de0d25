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

  template <class V, class Bytes>
  MEGALITH_INLINE void unpack(const Bytes& bytes, UnpackedGroup<V>& group) {
    group.scale = bytes.template half<0>();
    group.codes[0] = bytes.template dword<2>();
    group.codes[1] = bytes.template dword<6>();
    group.codes[2] = bytes.template dword<10>();
    group.codes[3] = bytes.template dword<14>();
    group.codes[4] = bytes.template dword<18>();
    group.codes[5] = bytes.template dword<22>();
    group.codes[6] = bytes.template dword<26>();
    group.codes[7] = bytes.template dword<30>();
  }
};

}  // namespace megalith::cpu
