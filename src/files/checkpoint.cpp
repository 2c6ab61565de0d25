#include "files/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace megalith {

namespace {
std::string describe(std::span<const int64_t> shape) {
  std::string text;
  for (const int64_t dimension : shape) text += fmt::format("{}{}", text.empty() ? "" : ", ", dimension);
  return "[" + text + "]";
}
}  // namespace

Checkpoint::Checkpoint(Parts parts) : parts_(std::move(parts)) {
  index_.reserve(parts_.weights.size());
  for (size_t i = 0; i < parts_.weights.size(); ++i) {
    if (!index_.emplace(parts_.weights[i].name, i).second) {
      throw Error(ErrorKind::kInvalidModel,
                  fmt::format("{}: tensor {} appears twice", path(), in_quotes(parts_.weights[i].name)));
    }
  }
}

const NamedWeight* Checkpoint::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &parts_.weights[found->second];
}

const NamedWeight& Checkpoint::require(std::string_view name, std::span<const int64_t> shape) const {
  const NamedWeight* weight = find(name);
  if (weight == nullptr) {
    const auto skipped = std::find_if(parts_.skipped.begin(), parts_.skipped.end(),
                                      [&](const SkippedTensor& tensor) { return tensor.name == name; });
    throw Error(
        ErrorKind::kInvalidModel,
        fmt::format("{}: tensor {} {}", path(), in_quotes(name),
                    skipped == parts_.skipped.end() ? "is missing" : skipped->why + "; the model cannot use it"));
  }
  if (!std::equal(shape.begin(), shape.end(), weight->shape.begin(), weight->shape.end())) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: tensor {} has the shape {}, expected {}", path(),
                                                      in_quotes(name), describe(weight->shape), describe(shape)));
  }
  return *weight;
}

uint64_t Checkpoint::weight_bytes() const {
  uint64_t total = 0;
  for (const NamedWeight& weight : parts_.weights) total += weight.view.bytes();
  return total;
}

uint64_t Checkpoint::file_bytes() const {
  uint64_t total = 0;
  for (const auto& file : parts_.files) total += file->bytes().size();
  return total;
}

void Checkpoint::check_intact() const {
  for (const auto& file : parts_.files) {
    if (file->damaged()) {
      throw Error(ErrorKind::kRuntime,
                  fmt::format("{} was truncated, or could not be read, while it was in use; the result is discarded. "
                              "Restore the file and start again",
                              file->path()));
    }
  }
}

}  // namespace megalith
