// Any bytes: an Error of the right kind, or a parsed file whose every view can be read. Files above this size are only
// the same again, slower.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "files/gguf.h"

namespace {

void read_every_byte(std::span<const std::byte> bytes) {
  volatile uint8_t sink = 0;
  for (const std::byte byte : bytes) sink = static_cast<uint8_t>(sink ^ static_cast<uint8_t>(byte));
}

void read_every_byte(std::string_view text) {
  read_every_byte(std::span(reinterpret_cast<const std::byte*>(text.data()), text.size()));
}

void decode_first_row(const megalith::NamedWeight& weight) {
  constexpr int64_t kMaxColumns = 1 << 16;
  const megalith::FormatInfo& info = megalith::format_info(weight.view.format);
  const int64_t columns = std::min(weight.view.columns, kMaxColumns);
  std::vector<float> row(static_cast<size_t>(columns));
  info.decode(weight.view, 0, 0, row);
  info.decode(weight.view, weight.view.rows - 1, 0, row);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = megalith::parse_gguf(std::span(reinterpret_cast<const std::byte*>(data), size), "fuzz.gguf");
    for (const megalith::NamedWeight& weight : file.weights) {
      read_every_byte(weight.view.planes[0]);
      decode_first_row(weight);
    }
    for (const megalith::Metadata::Entry& entry : file.metadata.entries()) {
      if (const auto* text = std::get_if<std::string_view>(&entry.value)) read_every_byte(*text);
      if (const auto* list = std::get_if<std::vector<std::string_view>>(&entry.value)) {
        for (const std::string_view text : *list) read_every_byte(text);
      }
    }
  } catch (const megalith::Error& error) {
    if (error.kind() != megalith::ErrorKind::kInvalidModel) std::abort();
  }
  return 0;
}
