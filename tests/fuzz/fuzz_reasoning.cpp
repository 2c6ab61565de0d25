// Any answer after any prompt, in pieces of any length, in every style: no cut changes what comes out, and where there
// is no mark nothing is lost.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/reasoning.h"

namespace {

using namespace megalith;

void require(bool condition) {
  if (!condition) std::abort();
}

/// The kinds and texts, one after the other; neighbours of one kind joined.
std::string stream(const ReasoningStyle& style, std::string_view prompt, std::string_view text, size_t piece_bytes) {
  ReasoningSplitter splitter(style, prompt);
  std::string all;
  char last = 0;
  const auto take = [&](const std::vector<ReasoningSplitter::Piece>& pieces) {
    for (const auto& piece : pieces) {
      require(!piece.text.empty());
      const char kind = piece.kind == ReasoningSplitter::Piece::Kind::kReasoning ? 'r' : 'c';
      if (kind != last) all += {'\0', kind};
      last = kind;
      all += piece.text;
    }
  };
  for (; !text.empty(); text.remove_prefix(std::min(piece_bytes, text.size())))
    take(splitter.push(text.substr(0, piece_bytes)));
  take(splitter.finish());
  return all;
}

}  // namespace

/// The first byte is the length of pieces, the prompt ends at the first line end.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view prompt = text.substr(0, std::min(text.find('\n'), text.size()));
  text.remove_prefix(prompt.size());
  for (const ReasoningStyle& style : reasoning_styles()) {
    const std::string whole = stream(style, prompt, text, text.size() + 1);
    require(stream(style, prompt, text, size_t{data[0]} % 9 + 1) == whole);
    const bool marked = std::any_of(style.marks.begin(), style.marks.end(), [&](std::string_view mark) {
      return prompt.find(mark) != std::string_view::npos || text.find(mark) != std::string_view::npos;
    });
    if (!marked && !text.empty()) require(whole.substr(2) == text);
  }
  reasoning_style_of_template(text);
  return 0;
}
