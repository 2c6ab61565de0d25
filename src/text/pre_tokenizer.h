#pragma once
// Pre-tokenizers: how a text is cut into words before byte-pair merging, one row each. The rows are the makers'
// published regular expressions as linear matchers written by hand.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace megalith {

struct PreTokenizer {
  enum class Normalisation { kNone, kNfc };
  /// Whether every number (char::is_numeric) stands alone and ends the text on both sides, before the matcher runs.
  enum class Digits { kAsMatched, kIsolated };
  /// Whether a whole word that is a token is that token, without merging.
  enum class WholeWords { kMerge, kTakeIfKnown };
  /// Whether BOS is added where the file does not say.
  enum class Bos { kOmitted, kAdded };
  /// The end of the word that starts at `begin` (< text.size()), > begin; `text` is valid UTF-8.
  using Matcher = size_t (*)(std::string_view text, size_t begin);

  std::span<const std::string_view> names;  // values of GGUF's `tokenizer.ggml.pre` that mean this row
  Normalisation normalisation;
  Digits digits;
  Matcher match;
  WholeWords whole_words;
  Bos bos;
};

/// All rows; the first name of each is the row's own.
std::span<const PreTokenizer> pre_tokenizers();

/// The row of a name, or nullptr.
const PreTokenizer* find_pre_tokenizer(std::string_view name);

/// Every name that find_pre_tokenizer knows, separated by ", ".
std::string known_pre_tokenizers();

/// Calls `take(word)` for each word of `text`, which is valid UTF-8 and already normalised. The words are adjacent and
/// cover the text.
template <typename Take>
void split_words(const PreTokenizer& row, std::string_view text, Take take);

/// The length of the leading stretch of `text` (not empty) that the matcher may look at: up to the next isolated
/// number, or one such number.
size_t stretch_length(const PreTokenizer& row, std::string_view text);

template <typename Take>
void split_words(const PreTokenizer& row, std::string_view text, Take take) {
  while (!text.empty()) {
    const std::string_view stretch = text.substr(0, stretch_length(row, text));
    for (size_t begin = 0; begin < stretch.size();) {
      const size_t end = row.match(stretch, begin);
      take(stretch.substr(begin, end - begin));
      begin = end;
    }
    text.remove_prefix(stretch.size());
  }
}

}  // namespace megalith
