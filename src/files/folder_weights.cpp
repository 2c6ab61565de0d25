#include "files/folder_weights.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace megalith {

namespace {

/// Null if the dtype is none that alone is a weight.
const FormatInfo* float_format(std::string_view dtype) {
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16}) {
    if (format_info(format).safetensors_type == dtype) return &format_info(format);
  }
  return nullptr;
}

void add_plain_tensor(SafetensorsTensor tensor, Checkpoint::Parts& parts) {
  if (tensor.shape.empty()) tensor.shape = {1};  // a single number
  const FormatInfo* info = float_format(tensor.dtype);
  std::string why;
  if (info == nullptr) {
    why = fmt::format("has the type {}", tensor.dtype);
  } else if (tensor.shape.size() > 4) {
    why = fmt::format("has {} dimensions", tensor.shape.size());
  } else if (tensor.bytes.empty()) {
    why = "has no elements";
  }
  if (!why.empty()) {
    parts.skipped.push_back({std::move(tensor.name), std::move(why)});
    return;
  }
  NamedWeight weight;
  weight.name = std::move(tensor.name);
  weight.view.format = info->format;
  weight.view.columns = tensor.shape.back();
  weight.view.rows = 1;
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) weight.view.rows *= tensor.shape[i];
  weight.view.planes[0] = tensor.bytes;
  weight.shape = std::move(tensor.shape);
  parts.weights.push_back(std::move(weight));
}

}  // namespace

void add_folder_weights(std::vector<SafetensorsTensor> tensors, Checkpoint::Parts& parts) {
  for (SafetensorsTensor& tensor : tensors) add_plain_tensor(std::move(tensor), parts);
}

}  // namespace megalith
