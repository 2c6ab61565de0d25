#pragma once
// How each way of quantising spreads a module's weight over several tensors of a folder.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "files/checkpoint.h"
#include "files/quantisation_config.h"

namespace megalith {

/// One plane of a module: the tensor "<module><suffix>". The table's row of the format may say its dtype.
struct PlaneName {
  std::string_view suffix;  // empty: there is no such plane
  /// The dtype by which a tensor of this name is known to be a plane ("" for any). Others are named `weight` too.
  std::string_view known_by;
  enum class Need { kAlways, kIfThere } need = Need::kAlways;
  bool tells = true;  // a tensor of this name (and dtype) belongs to a quantised module
};

using Shape = std::vector<int64_t>;

struct PlaneLayout {
  QuantisationMethod method;
  std::array<PlaneName, kMaxPlanes> planes;  // in the order of WeightView::planes
  std::string_view weight_suffix;            // the weight is called "<module><weight_suffix>"
  size_t least_dimensions;                   // of the first plane
  size_t most_dimensions;
  /// The weight's shape, from the first plane's and the bits of a weight.
  Shape (*weight_shape)(const Shape& first, int64_t bits);
  /// The shape that a plane of this weight must have.
  Shape (*plane_shape)(const NamedWeight& weight, size_t plane, int64_t bits);
};

/// Null for kNone.
const PlaneLayout* plane_layout(QuantisationMethod method);

}  // namespace megalith
