#pragma once
// MXFP4 as safetensors files hold it, in two planes: the FP4 codes (E2M1) of each row as a little-endian stream of
// nibbles [rows, columns / 2 bytes], and the E8M0 scale of each 32 [rows, columns / 32]. MLX's "mxfp4" mode has
// weight U32 and scales U8; gpt-oss has "<name>_blocks" and "<name>_scales", U8 both. GGUF's order is another
// (mxfp4.h).
#include "formats/mxfp4.h"
#include "formats/planes.h"

namespace megalith::mxfp4_planes {

inline GroupTerms terms(const WeightView& weight, int64_t row, int64_t group) {
  const auto index = static_cast<size_t>(row * (weight.columns / GroupTerms::kSize) + group);
  const auto nibbles = weight.planes[0].subspan(index * 16, 16);
  GroupTerms terms;
  for (size_t i = 0; i < GroupTerms::kSize; ++i) {
    const int code = (static_cast<int>(nibbles[i / 2]) >> (i % 2 * 4)) & 0x0f;
    terms.codes[i] = codebook::entry(codebook::kDoubledE2m1, code);
  }
  terms.scales.fill(mxfp4::half_scale(static_cast<uint8_t>(weight.planes[1][index])));
  terms.offset = 0.0f;
  return terms;
}

inline void encode(std::span<const float> weights, const WeightView& /*shape*/, const PlaneBuffers& out) {
  for (size_t first = 0; first < weights.size(); first += GroupTerms::kSize) {
    const auto values = weights.subspan(first, GroupTerms::kSize);
    const uint8_t exponent = mxfp4::exponent_for(std::fabs(block_codec::extreme_of(values)));
    out[1][first / GroupTerms::kSize] = static_cast<std::byte>(exponent);
    for (size_t i = 0; i < values.size(); ++i) {
      const int code = codebook::nearest_code(codebook::kDoubledE2m1, values[i], mxfp4::half_scale(exponent));
      out[0][(first + i) / 2] |= static_cast<std::byte>(code << (i % 2 * 4));
    }
  }
}

inline uint64_t plane_bytes(const WeightView& weight, int plane) {
  const auto groups_per_row = static_cast<uint64_t>(weight.columns / GroupTerms::kSize);
  return planes::product({static_cast<uint64_t>(weight.rows), groups_per_row, plane == 0 ? uint64_t{16} : uint64_t{1}});
}

inline constexpr FormatInfo kInfo = {
    .format = Format::kMxfp4Planes,
    .name = "MXFP4_PLANES",
    .gguf_type = std::nullopt,
    .safetensors_type = "",
    .planes = 2,
    .axis = ContiguousAxis::kK,
    .block_weights = GroupTerms::kSize,
    .block_bytes = 16,
    .has_offset = false,
    .has_two_scales = false,
    .terms = terms,
    .decode = block_codec::decode_quantised,
    .encode = nullptr,
    .plane_info = {{{"weight", "U32"}, {"scales", "U8"}, {}, {}}},
    .plane_bytes = plane_bytes,
    .encode_planes = encode,
    .row_multiple = 1,
};

}  // namespace megalith::mxfp4_planes
