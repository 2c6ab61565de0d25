#include "files/plane_layout.h"

namespace megalith {

namespace {

constexpr int64_t kWordBits = 32;  // MLX, GPTQ and AWQ pack codes into words

int64_t divide_up(int64_t value, int64_t by) { return value / by + (value % by != 0 ? 1 : 0); }

Shape with_last(Shape shape, int64_t last) {
  shape.back() = last;
  return shape;
}

// MLX: weight [..., out, in * bits / 32], scales and biases [..., out, in / group].
Shape mlx_weight_shape(const Shape& first, int64_t bits) { return with_last(first, first.back() * kWordBits / bits); }
Shape mlx_plane_shape(const NamedWeight& weight, size_t plane, int64_t bits) {
  const int64_t columns = weight.view.columns;
  return with_last(weight.shape, plane == 0 ? columns * bits / kWordBits : columns / weight.view.group);
}

// GPTQ: qweight [in * bits / 32, out], qzeros [groups, out * bits / 32], scales [groups, out], g_idx [in].
Shape gptq_weight_shape(const Shape& first, int64_t bits) { return {first[1], first[0] * kWordBits / bits}; }
Shape gptq_plane_shape(const NamedWeight& weight, size_t plane, int64_t bits) {
  const WeightView& view = weight.view;
  const int64_t groups = divide_up(view.columns, view.group);
  if (plane == 0) return {view.columns * bits / kWordBits, view.rows};
  if (plane == 1) return {groups, view.rows * bits / kWordBits};
  if (plane == 2) return {groups, view.rows};
  return {view.columns};
}

// AWQ: qweight [in, out * bits / 32]; the rest as GPTQ.
Shape awq_weight_shape(const Shape& first, int64_t bits) { return {first[1] * kWordBits / bits, first[0]}; }
Shape awq_plane_shape(const NamedWeight& weight, size_t plane, int64_t bits) {
  if (plane == 0) return {weight.view.columns, weight.view.rows * bits / kWordBits};
  return gptq_plane_shape(weight, plane, bits);
}

// FP8: weight [..., out, in], weight_scale_inv [..., out / 128, in / 128], both rounded up.
Shape fp8_weight_shape(const Shape& first, int64_t /*bits*/) { return first; }
Shape fp8_plane_shape(const NamedWeight& weight, size_t plane, int64_t /*bits*/) {
  constexpr int64_t kBlock = 128;
  Shape shape = weight.shape;
  if (plane == 0) return shape;
  shape[shape.size() - 2] = divide_up(shape[shape.size() - 2], kBlock);
  return with_last(std::move(shape), divide_up(weight.shape.back(), kBlock));
}

// gpt-oss: blocks [..., out, in / 32, 16], scales [..., out, in / 32].
constexpr int64_t kMxfp4Group = 32;
Shape mxfp4_weight_shape(const Shape& first, int64_t /*bits*/) {
  Shape shape(first.begin(), first.end() - 1);
  shape.back() *= kMxfp4Group;
  return shape;
}
Shape mxfp4_plane_shape(const NamedWeight& weight, size_t plane, int64_t bits) {
  Shape shape = with_last(weight.shape, weight.view.columns / kMxfp4Group);
  if (plane == 0) shape.push_back(kMxfp4Group * bits / 8);
  return shape;
}

using Need = PlaneName::Need;

constexpr std::array kLayouts = {
    PlaneLayout{
        .method = QuantisationMethod::kMlx,
        .planes = {{{".weight", "U32"}, {".scales", ""}, {".biases", ""}, {}}},
        .weight_suffix = ".weight",
        .least_dimensions = 2,
        .most_dimensions = 4,
        .weight_shape = mlx_weight_shape,
        .plane_shape = mlx_plane_shape,
    },
    PlaneLayout{
        .method = QuantisationMethod::kGptq,
        .planes = {{{".qweight", ""},
                    {".qzeros", ""},
                    {".scales", "", Need::kAlways, false},
                    {".g_idx", "", Need::kIfThere}}},
        .weight_suffix = ".weight",
        .least_dimensions = 2,
        .most_dimensions = 2,
        .weight_shape = gptq_weight_shape,
        .plane_shape = gptq_plane_shape,
    },
    PlaneLayout{
        .method = QuantisationMethod::kAwq,
        .planes = {{{".qweight", ""}, {".qzeros", ""}, {".scales", "", Need::kAlways, false}, {}}},
        .weight_suffix = ".weight",
        .least_dimensions = 2,
        .most_dimensions = 2,
        .weight_shape = awq_weight_shape,
        .plane_shape = awq_plane_shape,
    },
    PlaneLayout{
        .method = QuantisationMethod::kFp8,
        .planes = {{{".weight", "F8_E4M3"}, {".weight_scale_inv", ""}, {}, {}}},
        .weight_suffix = ".weight",
        .least_dimensions = 2,
        .most_dimensions = 4,
        .weight_shape = fp8_weight_shape,
        .plane_shape = fp8_plane_shape,
    },
    PlaneLayout{
        .method = QuantisationMethod::kMxfp4,
        .planes = {{{"_blocks", "U8"}, {"_scales", "U8"}, {}, {}}},
        .weight_suffix = "",
        .least_dimensions = 3,
        .most_dimensions = 5,
        .weight_shape = mxfp4_weight_shape,
        .plane_shape = mxfp4_plane_shape,
    },
};

}  // namespace

const PlaneLayout* plane_layout(QuantisationMethod method) {
  for (const PlaneLayout& layout : kLayouts) {
    if (layout.method == method) return &layout;
  }
  return nullptr;
}

}  // namespace megalith
