#pragma once
// The 16 header bytes of Q4_K and Q5_K: half scale, half offset, eight 6-bit scale codes and eight offset codes.
#include "backends/cpu/formats/unpacking.h"

namespace megalith::cpu {

template <class V>
struct KScales {
  using Int = typename V::Int;
  using Float = typename V::Float;
  Float scale;
  Float minus_offset;
  Int scale_codes[2];  // bytes: groups 0-3, groups 4-7
  Int offset_codes[2];

  MEGALITH_INLINE KScales load(const typename V::Cursor& rows) {
    Int header[4];
    V::transpose(rows, 0, header);
    KScales scales;
    scales.scale = V::half_low(header[0]);
    scales.minus_offset = V::negate(V::half_high(header[0]));
    const Int six_bits = V::set8(0x3F);
    const Int low_bits = V::set8(0x0F);
    const Int top_bits = V::set8(0x30);
    scales.scale_codes[0] = V::bit_and(header[1], six_bits);
    scales.offset_codes[0] = V::bit_and(header[2], six_bits);
    scales.scale_codes[1] = V::masked_or(V::template right<2>(header[1]), top_bits, V::bit_and(header[3], low_bits));
    scales.offset_codes[1] =
        V::masked_or(V::template right<2>(header[2]), top_bits, V::bit_and(V::template right<4>(header[3]), low_bits));
    return scales;
  }

  template <int g>
  [[gnu::always_inline]] void apply(UnpackedGroup<V>& group) const {
    const Int byte = V::set32(0xFF);
    // Both products are exact: 11 bits by 6.
    const Int scale_code = V::bit_and(V::template right<g % 4 * 8>(scale_codes[g / 4]), byte);
    const Int offset_code = V::bit_and(V::template right<g % 4 * 8>(offset_codes[g / 4]), byte);
    group.scale = V::mul(scale, V::to_float(scale_code));
    group.minus_offset = V::mul(minus_offset, V::to_float(offset_code));
  }
};

}  // namespace megalith::cpu
