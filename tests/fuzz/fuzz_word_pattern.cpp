// Any expression over any text: it compiles or is refused with kInvalidModel; its words are not empty, whole
// characters, in order, and cover the text, however the matches are treated. An expression that takes more than linear
// time shows as a timeout, as the text is repeated until it is long.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/unicode.h"
#include "text/word_splitter.h"

namespace {

using namespace megalith;

void require(bool condition) {
  if (!condition) std::abort();
}

void split(const SplitStage& stage, const std::string& text) {
  std::optional<WordSplitter> splitter;
  try {
    splitter.emplace(std::span(&stage, 1), "fuzz: ");
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kInvalidModel);
    return;
  }
  WordSplitter::Scratch scratch;
  size_t position = 0;
  splitter->split(text, scratch, [&](std::string_view word) {
    require(!word.empty() && find_invalid_utf8(word, 0) == word.size());
    require(word.data() == text.data() + position);
    position += word.size();
  });
  require(position == text.size());
}

}  // namespace

/// A byte for behaviour and repeats, the expression up to a zero byte, the text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 4096) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t expression_size = input.find('\0');
  if (expression_size == std::string_view::npos) return 0;
  const std::string_view unit = input.substr(expression_size + 1);
  std::string text(unit.substr(0, find_invalid_utf8(unit, 0)));
  if (data[0] & 0x80) {
    const std::string once = text;
    while (!once.empty() && text.size() < 20000) text += once;
  }
  using Behavior = SplitStage::Behavior;
  constexpr Behavior kCovering[] = {Behavior::kIsolated, Behavior::kMergedWithPrevious, Behavior::kMergedWithNext,
                                    Behavior::kContiguous};
  SplitStage stage{.expression = std::string(input.substr(0, expression_size)), .behavior = kCovering[data[0] & 3]};
  if (data[0] & 4) stage.matches = SplitStage::Matches::kInverted;
  split(stage, text);
  return 0;
}
