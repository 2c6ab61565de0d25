#pragma once
// Q6_K: 128 bytes of nibbles, 64 of top bits, 16 signed scale codes (one for each 16 weights), half scale; 210 bytes.
// Each half block takes 64 bytes of nibbles and 32 of top bits; its four groups are the low nibbles of bytes 0-31 and
// 32-63, then the high nibbles of both, with bits 0-1, 2-3, 4-5, 6-7 of the same 32 bytes.
#include "backends/cpu/formats/unpacking.h"

namespace megalith::cpu {

struct UnpackQ6_K {
  static constexpr int kBits = 6;
  static constexpr int kBias = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kHasSubscales = true;
  static constexpr int kBlockBytes = 210;
  static constexpr int kBlockGroups = 8;

  template <class V, class Sink>
  MEGALITH_INLINE void unpack(const typename V::Cursor& rows, Sink&& sink) {
    typename V::Int tail[4];
    V::transpose(rows, kBlockBytes - 16, tail);
    const typename V::Float scale = V::half_high(tail[3]);
    typename V::Int scale_codes[4];
    V::transpose(rows, 192, scale_codes);
    unpack_half<V, 0>(rows, scale, scale_codes, sink);
    unpack_half<V, 1>(rows, scale, scale_codes, sink);
  }

 private:
  template <class V, int i>
  MEGALITH_INLINE typename V::Float subscale(const typename V::Int (&scale_codes)[4]) {
    return V::to_float(V::template right_signed<24>(V::template left<24 - i % 4 * 8>(scale_codes[i / 4])));
  }

  /// Bits 2 n and 2 n + 1 of each byte, moved to bits 4 and 5 (other bits are garbage).
  template <class V, int n>
  MEGALITH_INLINE typename V::Int to_bits_4_5(typename V::Int bits) {
    if constexpr (n <= 2) {
      return V::template left<4 - 2 * n>(bits);
    } else {
      return V::template right<2>(bits);
    }
  }

  template <class V, int half, int n, class Sink>
  MEGALITH_INLINE void give(typename V::Float scale, const typename V::Int (&scale_codes)[4],
                            const typename V::Int (&nibbles)[8], const typename V::Int (&top_bits)[8], Sink&& sink) {
    constexpr int kGroup = half * 4 + n;
    UnpackedGroup<V> group;
    group.scale = scale;
    group.subscales[0] = subscale<V, 2 * kGroup>(scale_codes);
    group.subscales[1] = subscale<V, 2 * kGroup + 1>(scale_codes);
    for (int c = 0; c < 8; ++c) {
      const typename V::Int low = V::bit_and(V::template right<n / 2 * 4>(nibbles[c]), V::set8(0x0F));
      group.codes[c] = V::masked_or(to_bits_4_5<V, n>(top_bits[c]), V::set8(0x30), low);
    }
    sink(kGroup, group);
  }

  template <class V>
  MEGALITH_INLINE void load32(const typename V::Cursor& rows, int64_t offset, typename V::Int (&out)[8]) {
    typename V::Int first[4];
    typename V::Int second[4];
    V::transpose(rows, offset, first);
    V::transpose(rows, offset + 16, second);
    for (int c = 0; c < 4; ++c) {
      out[c] = first[c];
      out[c + 4] = second[c];
    }
  }

  template <class V, int half, class Sink>
  MEGALITH_INLINE void unpack_half(const typename V::Cursor& rows, typename V::Float scale,
                                   const typename V::Int (&scale_codes)[4], Sink&& sink) {
    typename V::Int top_bits[8];
    typename V::Int first[8];
    typename V::Int second[8];
    load32<V>(rows, 128 + half * 32, top_bits);
    load32<V>(rows, half * 64, first);
    load32<V>(rows, half * 64 + 32, second);
    give<V, half, 0>(scale, scale_codes, first, top_bits, sink);
    give<V, half, 1>(scale, scale_codes, second, top_bits, sink);
    give<V, half, 2>(scale, scale_codes, first, top_bits, sink);
    give<V, half, 3>(scale, scale_codes, second, top_bits, sink);
  }
};

}  // namespace megalith::cpu
