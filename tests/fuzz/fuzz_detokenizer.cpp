// Any bytes in pieces of any length, with any stop strings: what comes out is whole UTF-8, does not depend on the cuts,
// and ends exactly before the first stop string. Also base/utf8.h and text/unicode.h, which must agree on what is
// UTF-8.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/unicode.h"

namespace {

using namespace megalith;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Everything that comes out if `bytes` go in by pieces of `piece_bytes`.
std::string stream(std::string_view bytes, size_t piece_bytes, const std::vector<std::string>& stops) {
  Detokenizer detokenizer(stops);
  std::string text;
  while (!bytes.empty()) {
    const std::string shown = detokenizer.push(bytes.substr(0, piece_bytes));
    require(is_valid_utf8(shown));
    text += shown;
    bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
  }
  return text + detokenizer.finish();
}

/// By the definition: the stop string that is complete first, the longest of those that end there.
std::string until_stop(const std::string& text, const std::vector<std::string>& stops) {
  size_t begin = text.size();
  size_t end = std::string::npos;
  for (const std::string& stop : stops) {
    const size_t at = text.find(stop);
    if (at == std::string::npos) continue;
    const size_t ends_at = at + stop.size();
    if (ends_at < end || (ends_at == end && at < begin)) {
      end = ends_at;
      begin = at;
    }
  }
  return text.substr(0, begin);
}

}  // namespace

/// Lines: all but the last are stop strings. The first byte is the length of the second way of cutting.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  require(is_valid_utf8(bytes) == (find_invalid_utf8(bytes, 0) == bytes.size()));
  require(is_valid_utf8(in_quotes(bytes)));
  std::vector<std::string> stops;
  for (size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
    const std::string_view stop = bytes.substr(0, end);
    if (!stop.empty() && is_valid_utf8(stop) && stops.size() < 8) stops.emplace_back(stop);
  }
  const std::string whole = stream(bytes, bytes.size() + 1, {});
  if (is_valid_utf8(bytes)) require(whole == bytes);
  const std::string expected = until_stop(whole, stops);
  require(stream(bytes, bytes.size() + 1, stops) == expected);
  require(stream(bytes, size_t{data[0]} % 7 + 1, stops) == expected);
  return 0;
}
