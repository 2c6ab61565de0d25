// Any bytes as the config.json and the safetensors of a folder: an Error of the right kind, or a checkpoint whose every
// view can be read. The input is the config's size in two bytes, the config, then the file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "files/config_json.h"
#include "files/folder_weights.h"
#include "files/safetensors.h"

namespace {

void read_every_byte(std::span<const std::byte> bytes) {
  volatile uint8_t sink = 0;
  for (const std::byte byte : bytes) sink = static_cast<uint8_t>(sink ^ static_cast<uint8_t>(byte));
}

/// The first and the last row, as far as they are worth the time.
void decode_rows(const megalith::WeightView& view) {
  constexpr int64_t kMaxColumns = 1 << 14;
  const megalith::FormatInfo& info = megalith::format_info(view.format);
  std::vector<float> row(static_cast<size_t>(std::min(view.columns, kMaxColumns)));
  info.decode(view, 0, 0, row);
  info.decode(view, view.rows - 1, 0, row);
  if (info.quantised()) info.terms(view, view.rows - 1, view.columns / megalith::GroupTerms::kSize - 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t config_bytes = std::min<size_t>(size - 2, data[0] | data[1] << 8);
  const std::string config(reinterpret_cast<const char*>(data) + 2, config_bytes);
  // A copy of its own, so that a view that leaves the file leaves the allocation.
  const std::vector<uint8_t> file(data + 2 + config_bytes, data + size);
  try {
    megalith::Checkpoint::Parts parts;
    parts.path = "fuzz";
    parts.metadata = megalith::Metadata("fuzz");
    megalith::add_json_object(parts.metadata, "config", config, "fuzz/config.json");
    const auto tensors = megalith::parse_safetensors(std::as_bytes(std::span(file)), "fuzz/model.safetensors");
    for (const megalith::SafetensorsTensor& tensor : tensors) read_every_byte(tensor.bytes);
    megalith::add_folder_weights(tensors, parts);
    const megalith::Checkpoint checkpoint(std::move(parts));
    for (const megalith::NamedWeight& weight : checkpoint.weights()) {
      for (const auto& plane : weight.view.planes) read_every_byte(plane);
      if (!megalith::fault_of(weight.view).empty()) std::abort();
      decode_rows(weight.view);
    }
    for (const megalith::Metadata::Entry& entry : checkpoint.metadata().entries()) {
      if (const auto* text = std::get_if<std::string_view>(&entry.value)) {
        read_every_byte(std::as_bytes(std::span(text->data(), text->size())));
      }
    }
  } catch (const megalith::Error& error) {
    if (error.kind() != megalith::ErrorKind::kInvalidModel) std::abort();
  }
  return 0;
}
