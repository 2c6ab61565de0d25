#include "models/weight_loader.h"

#include <fmt/core.h>

#include <array>

#include "base/error.h"
#include "base/utf8.h"

namespace megalith {

Weight WeightLoader::adopt(const NamedWeight& weight) {
  if (used_.emplace(weight.name).second) {
    parameters_ += static_cast<uint64_t>(weight.view.rows) * static_cast<uint64_t>(weight.view.columns);
  }
  return ops_.adopt(weight);
}

Weight WeightLoader::matrix(const std::string& name, int64_t out, int64_t in) {
  return adopt(checkpoint_.require(name, std::array{out, in}));
}

Weight WeightLoader::vector(const std::string& name, int64_t size) {
  return adopt(checkpoint_.require(name, std::array{size}));
}

Weight WeightLoader::heads(const std::string& name, const StackShape& shape) {
  return adopt(checkpoint_.require(name, std::array{shape.parts, shape.out, shape.in}));
}

std::vector<Weight> WeightLoader::stack(const std::string& name, const StackShape& shape) {
  return split(checkpoint_.require(name, std::array{shape.parts, shape.out, shape.in}), shape.parts);
}

std::vector<Weight> WeightLoader::vector_stack(const std::string& name, int64_t parts, int64_t size) {
  return split(checkpoint_.require(name, std::array{parts, size}), parts);
}

std::vector<Weight> WeightLoader::split(const NamedWeight& weight, int64_t parts) {
  mark_used(weight.name);
  const int64_t rows = weight.view.rows / parts;
  std::vector<Weight> weights;
  for (int64_t i = 0; i < parts; ++i) {
    NamedWeight part = weight;
    part.name = fmt::format("{}[{}]", weight.name, i);
    part.shape.erase(part.shape.begin());
    part.view = slice_rows(weight.view, i * rows, rows);
    weights.push_back(adopt(part));
  }
  return weights;
}

Linear WeightLoader::linear(const std::string& name, int64_t out, int64_t in, Bias bias) {
  Linear linear{.weight = matrix(name + ".weight", out, in), .bias = {}};
  const std::string bias_name = name + ".bias";
  if (bias == Bias::kRequired || (bias == Bias::kOptional && has(bias_name))) linear.bias = vector(bias_name, out);
  return linear;
}

void WeightLoader::require_all_used(std::string_view architecture) const {
  for (const NamedWeight& weight : checkpoint_.weights()) {
    if (used_.contains(weight.name)) continue;
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: tensor {} has no place in the architecture '{}' as megalith knows it, so its answers "
                            "would be wrong",
                            checkpoint_.path(), in_quotes(weight.name), architecture));
  }
}

}  // namespace megalith
