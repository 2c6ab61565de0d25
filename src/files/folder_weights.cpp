#include "files/folder_weights.h"

#include <fmt/core.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/plane_layout.h"
#include "files/quantisation_config.h"

namespace megalith {

namespace {

constexpr size_t kMaxDimensions = 4;  // of a NamedWeight

/// The float format of this dtype; null if it is none that alone is a weight.
const FormatInfo* float_format(std::string_view dtype) {
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16}) {
    if (format_info(format).safetensors_type == dtype) return &format_info(format);
  }
  return nullptr;
}

int64_t product(std::span<const int64_t> shape) {
  int64_t total = 1;  // of a tensor that lies in a file: no overflow
  for (const int64_t dimension : shape) total *= dimension;
  return total;
}

void set_shape(NamedWeight& weight, Shape shape) {
  weight.view.columns = shape.back();
  weight.view.rows = product(std::span(shape).first(shape.size() - 1));
  weight.shape = std::move(shape);
}

std::string describe(std::span<const int64_t> shape) {
  std::string text;
  for (const int64_t dimension : shape) text += fmt::format("{}{}", text.empty() ? "" : ", ", dimension);
  return "[" + text + "]";
}

class Assembler {
 public:
  Assembler(std::span<const SafetensorsTensor> tensors, Checkpoint::Parts& parts)
      : tensors_(tensors),
        parts_(parts),
        config_(read_quantisation_config(parts.metadata)),
        layout_(plane_layout(config_.method)) {
    for (const SafetensorsTensor& tensor : tensors_) index_.emplace(tensor.name, &tensor);
  }

  void run() {
    for (const SafetensorsTensor& tensor : tensors_) {
      const std::string_view module = module_of(tensor);
      if (!module.empty() && built_.insert(module).second) add_module(module);
    }
    for (const SafetensorsTensor& tensor : tensors_) {
      if (!used_.contains(tensor.name)) add_plain_tensor(tensor);
    }
  }

 private:
  using Planes = std::array<const SafetensorsTensor*, kMaxPlanes>;

  [[noreturn]] void fail(const std::string& cause) const {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}", parts_.path, cause));
  }

  /// The module of which this tensor can only be a plane; empty if it is a tensor of its own.
  std::string_view module_of(const SafetensorsTensor& tensor) const {
    if (layout_ == nullptr) return {};
    const std::string_view name = tensor.name;
    for (const PlaneName& plane : layout_->planes) {
      if (!plane.suffix.empty() && plane.tells && name.size() > plane.suffix.size() && name.ends_with(plane.suffix) &&
          (plane.known_by.empty() || plane.known_by == tensor.dtype)) {
        return name.substr(0, name.size() - plane.suffix.size());
      }
    }
    return {};
  }

  void add_module(std::string_view module) {
    const ModuleFormat format = format_of_module(config_, parts_.metadata, module);
    const FormatInfo& info = format_info(format.format);
    Planes planes{};
    for (size_t plane = 0; plane < static_cast<size_t>(info.planes); ++plane) planes[plane] = find_plane(module, plane);
    NamedWeight weight;
    weight.name = std::string(module) + std::string(layout_->weight_suffix);
    weight.view.format = format.format;
    weight.view.group = format.group;
    weight.view.zero_point_shift = config_.zero_point_shift;
    take_shape(weight, *planes[0]);
    take_planes(weight, planes);
    const std::string fault = fault_of(weight.view);
    if (!fault.empty()) fail(fmt::format("weight {} ({}) {}", in_quotes(weight.name), info.name, fault));
    if (std::vector<int32_t> order = column_order_of(weight.view); !order.empty()) {
      parts_.column_orders.push_back(std::make_unique<const std::vector<int32_t>>(std::move(order)));
      weight.view.column_order = *parts_.column_orders.back();
    }
    parts_.weights.push_back(std::move(weight));
  }

  /// Null for a plane that need not be there and is not.
  const SafetensorsTensor* find_plane(std::string_view module, size_t plane) {
    const PlaneName& plane_name = layout_->planes[plane];
    const std::string name = std::string(module) + std::string(plane_name.suffix);
    const auto found = index_.find(name);
    if (found != index_.end()) {
      used_.insert(found->second->name);
      return found->second;
    }
    if (plane_name.need == PlaneName::Need::kIfThere) return nullptr;
    fail(fmt::format("module {} is quantised, but its tensor {} is missing; fetch the model again", in_quotes(module),
                     in_quotes(name)));
  }

  static int64_t bits_of(const NamedWeight& weight) {
    const FormatInfo& info = format_info(weight.view.format);
    return int64_t{info.block_bytes} * 8 / info.block_weights;
  }

  /// The weight's shape and group, as its first plane has them.
  void take_shape(NamedWeight& weight, const SafetensorsTensor& plane) const {
    check_dtype(plane, plane_dtype(weight, 0));
    const Shape& shape = plane.shape;
    if (shape.size() < layout_->least_dimensions || shape.size() > layout_->most_dimensions || plane.bytes.empty()) {
      fail(fmt::format("tensor {} has the shape {}, which {} cannot have", in_quotes(plane.name), describe(shape),
                       format_info(weight.view.format).name));
    }
    set_shape(weight, layout_->weight_shape(shape, bits_of(weight)));
    if (weight.view.group == -1) weight.view.group = weight.view.columns;
    if (weight.view.group < 1) {
      fail(fmt::format("weight {}: groups of {} columns make no sense", in_quotes(weight.name), weight.view.group));
    }
  }

  /// The dtype that a plane must have; empty for the floats of scales.
  std::string_view plane_dtype(const NamedWeight& weight, size_t plane) const {
    const std::string_view known_by = layout_->planes[plane].known_by;
    return known_by.empty() ? format_info(weight.view.format).plane_info[plane].dtype : known_by;
  }
  void check_dtype(const SafetensorsTensor& tensor, std::string_view wanted) const {
    if (wanted.empty() ? float_format(tensor.dtype) != nullptr : tensor.dtype == wanted) return;
    fail(fmt::format("tensor {} has the type {}, expected {}", in_quotes(tensor.name), tensor.dtype,
                     wanted.empty() ? "F16, BF16 or F32" : wanted));
  }

  /// Checks each plane's type and shape against the weight's, and gives the view its bytes.
  void take_planes(NamedWeight& weight, const Planes& planes) const {
    std::string_view scale_dtype;  // of the first plane of float scales; the others must have the same
    for (size_t plane = 0; plane < planes.size(); ++plane) {
      const SafetensorsTensor* tensor = planes[plane];
      if (tensor == nullptr) continue;
      std::string_view dtype = plane_dtype(weight, plane);
      const bool holds_scales = dtype.empty();
      if (holds_scales) dtype = scale_dtype;
      check_dtype(*tensor, dtype);
      if (holds_scales) {
        scale_dtype = tensor->dtype;
        weight.view.scale_format = float_format(scale_dtype)->format;
      }
      const Shape expected = layout_->plane_shape(weight, plane, bits_of(weight));
      if (tensor->shape != expected) {
        fail(fmt::format("tensor {} has the shape {}, expected {}: {} is {} of {} in groups of {}",
                         in_quotes(tensor->name), describe(tensor->shape), describe(expected), in_quotes(weight.name),
                         describe(weight.shape), format_info(weight.view.format).name, weight.view.group));
      }
      weight.view.planes[plane] = tensor->bytes;
    }
  }

  void add_plain_tensor(const SafetensorsTensor& tensor) {
    Shape shape = tensor.shape;
    if (shape.empty()) shape = {1};  // a single number
    const FormatInfo* info = float_format(tensor.dtype);
    std::string why;
    if (info == nullptr) {
      why = fmt::format("has the type {}", tensor.dtype);
    } else if (shape.size() > kMaxDimensions) {
      why = fmt::format("has {} dimensions", shape.size());
    } else if (tensor.bytes.empty()) {
      why = "has no elements";
    }
    if (!why.empty()) {
      parts_.skipped.push_back({tensor.name, std::move(why)});
      return;
    }
    NamedWeight weight;
    weight.name = tensor.name;
    weight.view.format = info->format;
    weight.view.planes[0] = tensor.bytes;
    set_shape(weight, std::move(shape));
    parts_.weights.push_back(std::move(weight));
  }

  std::span<const SafetensorsTensor> tensors_;
  Checkpoint::Parts& parts_;
  QuantisationConfig config_;
  const PlaneLayout* layout_;  // null: nothing is quantised
  std::unordered_map<std::string_view, const SafetensorsTensor*> index_;
  std::unordered_set<std::string_view> built_;  // modules
  std::unordered_set<std::string_view> used_;   // tensors
};

}  // namespace

void add_folder_weights(std::span<const SafetensorsTensor> tensors, Checkpoint::Parts& parts) {
  Assembler(tensors, parts).run();
}

}  // namespace megalith
