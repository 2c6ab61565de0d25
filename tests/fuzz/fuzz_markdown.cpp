// Any text of a model, in pieces of any length, at any width: how it is cut does not matter, nothing but our own styles
// controls the terminal, and the style is plain at the end.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cli/markdown.h"
#include "text/unicode.h"

namespace {

using namespace megalith;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string stream(std::string_view text, int columns, size_t piece_characters) {
  cli::Markdown markdown(columns);
  std::string shown;
  size_t begin = 0;
  size_t characters = 0;
  for (size_t at = 0; at < text.size();) {
    at += decode_utf8(text, at).length_bytes;
    if (++characters % piece_characters != 0) continue;
    shown += markdown.push(text.substr(begin, at - begin));
    begin = at;
  }
  shown += markdown.push(text.substr(begin));
  return shown + markdown.finish();
}

/// Escapes must be styles; returns whether the last one is plain.
bool ends_plain(std::string_view shown) {
  bool plain = true;
  for (size_t at = 0; at < shown.size(); ++at) {
    const auto byte = static_cast<unsigned char>(shown[at]);
    if (byte != 0x1b) {
      require(byte >= 0x20 || byte == '\n' || byte == '\t');
      continue;
    }
    const size_t end = shown.find('m', at);
    require(end != std::string_view::npos && end - at <= 4 && shown[at + 1] == '[');
    plain = shown.substr(at + 2, end - at - 2) == "0";
    at = end;
  }
  return plain;
}

}  // namespace

/// The first byte is the length of pieces, the second the terminal's width.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (find_invalid_utf8(text, 0) != text.size()) return 0;  // an engine's text is whole characters
  const int columns = 1 + data[1] % 100;
  const std::string whole = stream(text, columns, text.size() + 1);
  require(ends_plain(whole));
  require(stream(text, columns, size_t{data[0]} % 9 + 1) == whole);
  return 0;
}
