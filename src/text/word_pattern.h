#pragma once
// Regular expressions of pre-tokenizers: compiled once, then matched in time that is linear in the text.
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "text/word_expression.h"

namespace megalith {

/// A regular expression that matches as the reference does: Oniguruma's Ruby syntax, where the leftmost match counts
/// and there the first alternative that leads to one. Supported: characters and their escapes, classes (ranges,
/// negation, nesting, &&), \s \d \w \h \p{..}, groups, (?i) for ASCII letters and what Unicode folds to them, greedy
/// and lazy repeats, possessive ones of single characters, (?=..) (?!..), (?<=.) (?<!.) of one character, ^ $ \A \z \Z
/// \b \B.
///
/// Matching tries alternatives and returns. Where that costs more than a few steps for each byte, as "\s+$" does on a
/// long run of spaces, it starts to remember at which places which parts have failed, and tries none of them twice.
/// Immutable: any number of threads may use one pattern, each with its own Scratch.
class WordPattern {
 public:
  struct Match {
    size_t begin, end;  // byte positions
  };
  class Scratch;

  /// Throws kInvalidModel for an expression that is malformed or not supported; `source` begins the message.
  WordPattern(std::string_view expression, const std::string& source);

  /// Makes `scratch` ready for a text, which is valid UTF-8 and stays where it is while it is searched.
  void begin_text(std::string_view text, Scratch& scratch) const;
  /// The first match that begins at `from` or later; false if there is none.
  bool find(Scratch& scratch, size_t from, Match& match) const;

 private:
  friend class WordPatternCompiler;
  friend class WordMatcher;
  static constexpr size_t kMaxSets = 32;
  static constexpr size_t kMaxRoots = 32;
  static constexpr size_t kBlockSize = 128;
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  enum class Operation : uint8_t {
    kCodePoint,  // takes one code point, `code_point`
    kSet,        // takes one of the set
    kLoop,       // takes `minimum` to `maximum` of the set
    kBranch,     // tries `next`, then `other`
    kLook,       // `other` is what must match, and is not taken
    kLookSet,    // the code point before or behind must be of the set
    kAnchor,
    kMatch,  // the end of the expression, or of what a kLook looks for
  };
  struct Node {
    Operation operation = Operation::kMatch;
    WordExpression::Kind anchor = WordExpression::Kind::kEndOfText;
    WordExpression::Greed greed = WordExpression::Greed::kGreedy;
    WordExpression::Look look = WordExpression::Look::kAhead;
    bool gives_back = true;  // kLoop: whether giving back what it took can help what follows
    bool inside_look = false;
    uint32_t next = kNone, other = kNone;
    uint32_t set_bit = 0;  // of masks
    char32_t code_point = 0;
    uint32_t minimum = 0, maximum = 0;
    uint32_t memo_slot = kNone;  // kBranch, kLoop without end, kLook
  };
  /// What a code point is to this pattern.
  struct Traits {
    uint32_t sets = 0;   // bit i: it is in set i
    uint32_t roots = 0;  // bit i: alternative i may begin with it
    bool operator==(const Traits&) const = default;
  };

  const Traits& traits_of(char32_t code_point) const {
    return code_point < 128 ? ascii_[code_point]
                            : traits_[cells_[block_begin_[code_point / kBlockSize] + code_point % kBlockSize]];
  }

  std::vector<Node> nodes_;
  std::vector<uint32_t> roots_;  // entries of the top alternatives
  uint32_t roots_at_end_ = 0;    // bit i: alternative i may match at the end of the text
  uint32_t n_memo_slots_ = 0;
  std::array<Traits, 128> ascii_;
  std::vector<Traits> traits_;         // the different ones
  std::vector<uint16_t> cells_;        // blocks of 128 indices into traits_
  std::vector<uint32_t> block_begin_;  // [(U+10FFFF + 1) / 128] positions in cells_
};

/// The state of matching one text.
class WordPattern::Scratch {
 private:
  friend class WordPattern;
  friend class WordMatcher;
  enum class Resume : uint8_t { kNode, kLoop, kLazyLoop, kMark };
  struct Frame {
    Resume resume;
    uint32_t node;
    size_t position;  // where to go on
    size_t low;       // kLoop: where giving back ends; kLazyLoop: how many were taken; kMark: where marks end
  };
  /// Places that were entered within a look-ahead: all of them succeed if it does.
  struct Trail {
    uint32_t slot;
    size_t first, last;
  };
  std::string_view text_;
  size_t work_ = 0, work_limit_ = 0;  // in steps
  bool remembers_ = false;
  std::vector<Frame> frames_;
  std::vector<Trail> trail_;
  std::vector<uint64_t> failed_, succeeded_;  // bits [memo slot * (text size + 1) + position]
};

}  // namespace megalith
