#pragma once
// What a tokenizer changes in a text before it cuts it into words: the normalizers of Hugging Face's `tokenizers` as
// steps. Unicode's versions are the reference's (docs/text.md).
#include <string>
#include <string_view>
#include <vector>

#include "text/character_map.h"
#include "text/word_pattern.h"

namespace megalith {

struct NormalizerStep {
  enum class Kind {
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kLowercase,
    kStripAccents,      // marks are dropped
    kStripMarksOfBert,  // nonspacing marks of an older Unicode are
    kReplace,           // `pattern`, as text, by `content`
    kReplaceMatches,    // the matches of the expression `pattern` by `content`
    kPrepend,           // `content`, at the beginning of a stretch that is not empty
    kStripLeft,         // white space
    kStripRight,
    kCleanText,        // BERT: control characters are dropped, white space becomes spaces
    kSpacesAroundHan,  // BERT
    kCharacterMap,     // SentencePiece's precompiled map, which is `content`
  };
  Kind kind;
  std::string pattern = {}, content = {};
  bool operator==(const NormalizerStep&) const = default;
};

/// Where a piece of text stands in the stretch between two special tokens.
enum class PlaceInStretch { kBeginning, kLater };

/// Immutable; may be used from many threads.
class Normalizer {
 public:
  /// Throws kInvalidModel, beginning with `source`, for a malformed expression or character map.
  Normalizer(const std::vector<NormalizerStep>& steps, const std::string& source);
  bool empty() const { return steps_.empty(); }
  /// `text` is valid UTF-8. The result is `text` itself, or stands in `buffer`.
  std::string_view apply(std::string_view text, PlaceInStretch place, std::string& buffer) const;

 private:
  struct Step {
    NormalizerStep what;
    std::vector<WordPattern> expression;  // kReplaceMatches: one
    std::vector<CharacterMap> map;        // kCharacterMap: one
  };
  std::vector<Step> steps_;
};

}  // namespace megalith
