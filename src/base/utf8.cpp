#include "base/utf8.h"

#include <fmt/core.h>

#include <cstdint>

namespace megalith {

namespace {

/// Bytes of the well-formed sequence at the front of `text` (not empty), or 0. Unicode 15, table 3-7.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  uint8_t lowest = 0x80;
  uint8_t highest = 0xbf;
  if (lead == 0xe0) lowest = 0xa0;
  if (lead == 0xed) highest = 0x9f;
  if (lead == 0xf0) lowest = 0x90;
  if (lead == 0xf4) highest = 0x8f;
  if (byte(1) < lowest || byte(1) > highest) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kMaxBytes = 80;
  std::string out = "'";
  for (size_t shown = 0; !text.empty();) {
    const size_t length = sequence_length(text);
    const auto lead = static_cast<uint8_t>(text.front());
    // C0, DEL, and C1 (U+0080-U+009F), which terminals obey too.
    const bool is_control =
        length == 1 ? lead < 0x20 || lead == 0x7f : length == 2 && lead == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0;
    const size_t taken = length == 0 ? 1 : length;
    if (shown + taken > kMaxBytes) return out + "'...";
    if (length == 0 || is_control) {
      for (size_t i = 0; i < taken; ++i) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[i]));
    } else {
      out += text.substr(0, length);
    }
    shown += taken;
    text.remove_prefix(taken);
  }
  return out + "'";
}

}  // namespace megalith
