#include "formats/encode.h"

namespace megalith {

EncodedWeight encode_weight(const WeightView& shape, std::span<const float> weights) {
  const FormatInfo& info = format_info(shape.format);
  EncodedWeight encoded;
  encoded.view = shape;
  if (encoded.view.group == 0) encoded.view.group = GroupTerms::kSize;
  const auto group_index = shape.planes[kMaxPlanes - 1];
  PlaneBuffers buffers{};
  for (int p = 0; p < info.planes; ++p) {
    const auto plane = static_cast<size_t>(p);
    const bool is_group_index = plane == kMaxPlanes - 1;
    if (is_group_index) {
      encoded.planes[plane].assign(group_index.begin(), group_index.end());
    } else {
      encoded.planes[plane].resize(plane_bytes(encoded.view, p));
    }
    buffers[plane] = encoded.planes[plane];
    encoded.view.planes[plane] = encoded.planes[plane];
  }
  if (info.encode_planes != nullptr) {
    info.encode_planes(weights, encoded.view, buffers);
  } else {
    info.encode(weights, buffers[0]);
  }
  encoded.column_order = column_order_of(encoded.view);
  encoded.view.column_order = encoded.column_order;
  return encoded;
}

}  // namespace megalith
