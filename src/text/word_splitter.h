#pragma once
// How a text is cut into words before tokens are merged: the pre-tokenizers of a pipeline, one after another.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/word_pattern.h"

namespace megalith {

/// One pre-tokenizer. Each stage cuts the pieces that the stage before left.
struct SplitStage {
  /// What becomes of the matches, as `tokenizers` names it.
  enum class Behavior {
    kIsolated,            // pieces of their own
    kRemoved,             // left out
    kMergedWithPrevious,  // at the end of the piece before; the later ones of adjacent matches stand alone
    kMergedWithNext,      // at the beginning of the piece after; the earlier ones of adjacent matches stand alone
    kContiguous,          // adjacent matches are one piece
  };
  enum class Matches {
    kAsWritten,
    kInverted,  // what lies between the matches counts as match, and the matches as what lies between
  };
  enum class LeadingSpace {
    kAsIs,
    kAddedUnlessThere,  // ByteLevel's add_prefix_space, for each piece that the stage is given
  };
  enum class Text {
    kAsIs,
    kInByteAlphabet,  // a stage after ByteLevel, which is given the characters that stand for bytes (Falcon)
  };
  std::string expression;  // empty: nothing is cut
  Behavior behavior = Behavior::kIsolated;
  Matches matches = Matches::kAsWritten;
  LeadingSpace leading_space = LeadingSpace::kAsIs;
  Text text = Text::kAsIs;
  bool operator==(const SplitStage&) const = default;
};

/// Expressions of the pre-tokenizers that tokenizer.json knows by name.
/// ByteLevel with use_regex (GPT-2, Radford et al. 2019).
inline constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
/// Digits: kIsolated if one by one, else kContiguous.
inline constexpr std::string_view kDigitsExpression = R"(\p{Rust_Numeric})";
/// Punctuation, and the second step of BertPreTokenizer (kIsolated).
inline constexpr std::string_view kPunctuationExpression = R"(\p{Rust_Punctuation})";
/// Whitespace: kInverted, kRemoved.
inline constexpr std::string_view kWhitespaceExpression = R"(\p{Rust_Word}+|[^\p{Rust_Word}\p{White_Space}]+)";
/// WhitespaceSplit, and the first step of BertPreTokenizer: kRemoved.
inline constexpr std::string_view kWhitespaceSplitExpression = R"(\p{White_Space})";

class WordSplitter {
 public:
  class Scratch;
  /// Compiles the expressions. Throws kInvalidModel for one that is not supported; `source` begins the message.
  WordSplitter(std::span<const SplitStage> stages, const std::string& source);

  /// Calls take(word) for each word of `text` in their order; no word is empty. `text` is valid UTF-8 and normalised.
  /// A word lies in `text` or, after a stage that changes it, in `scratch`: it is valid until `take` returns. After one
  /// that is given the byte alphabet it may begin or end inside a character.
  /// Time is linear in the text.
  template <typename Take>
  void split(std::string_view text, Scratch& scratch, Take take) const;

 private:
  struct Stage {
    SplitStage::Behavior behavior;
    SplitStage::Matches matches;
    SplitStage::LeadingSpace leading_space;
    SplitStage::Text text;
    std::optional<WordPattern> pattern;
  };
  /// Pieces and matches of one text, one after another; they cover it.
  class Cutter;

  template <typename Take>
  void split_from(size_t stage, std::string_view text, Scratch& scratch, Take& take) const;

  std::vector<Stage> stages_;
};

/// One for each call of encode(), used again for all of its texts.
class WordSplitter::Scratch {
 private:
  friend class WordSplitter;
  struct Stage {
    WordPattern::Scratch pattern;
    std::string with_space, in_alphabet, bytes;
  };
  std::vector<Stage> stages_;
};

class WordSplitter::Cutter {
 public:
  Cutter(const Stage& stage, const WordPattern& pattern, std::string_view text, WordPattern::Scratch& scratch)
      : stage_(stage), pattern_(pattern), text_(text), scratch_(scratch) {
    pattern.begin_text(text, scratch);
  }
  /// The next piece (which may be empty), or false at the end. Matches that the stage removes are left out.
  bool next(std::string_view& piece);

 private:
  struct Part {
    size_t begin, end;
    bool is_match;
  };
  bool next_part(Part& part);
  bool next_match(WordPattern::Match& match);

  const Stage& stage_;
  const WordPattern& pattern_;
  const std::string_view text_;
  WordPattern::Scratch& scratch_;
  size_t search_from_ = 0;
  size_t covered_ = 0;  // parts have been given up to here
  std::optional<size_t> last_match_end_;
  std::optional<WordPattern::Match> waiting_match_;
  bool has_ended_ = false;
  // Behaviours that join parts: the one that may still grow.
  std::optional<Part> open_;
  bool previous_was_match_ = false;
};

template <typename Take>
void WordSplitter::split(std::string_view text, Scratch& scratch, Take take) const {
  scratch.stages_.resize(stages_.size());
  if (!text.empty()) split_from(0, text, scratch, take);
}

template <typename Take>
void WordSplitter::split_from(size_t stage_index, std::string_view text, Scratch& scratch, Take& take) const {
  if (stage_index == stages_.size()) {
    take(text);
    return;
  }
  const Stage& stage = stages_[stage_index];
  Scratch::Stage& stage_scratch = scratch.stages_[stage_index];
  if (stage.leading_space == SplitStage::LeadingSpace::kAddedUnlessThere && !text.starts_with(' ')) {
    stage_scratch.with_space.assign(1, ' ').append(text);
    text = stage_scratch.with_space;
  }
  if (!stage.pattern) {
    split_from(stage_index + 1, text, scratch, take);
    return;
  }
  const bool in_alphabet = stage.text == SplitStage::Text::kInByteAlphabet;
  if (in_alphabet) {
    stage_scratch.in_alphabet.clear();
    append_in_byte_alphabet(stage_scratch.in_alphabet, text);
    text = stage_scratch.in_alphabet;
  }
  Cutter cutter(stage, *stage.pattern, text, stage_scratch.pattern);
  for (std::string_view piece; cutter.next(piece);) {
    if (in_alphabet) {
      stage_scratch.bytes.clear();
      append_from_byte_alphabet(stage_scratch.bytes, piece);
      piece = stage_scratch.bytes;
    }
    if (!piece.empty()) split_from(stage_index + 1, piece, scratch, take);
  }
}

}  // namespace megalith
