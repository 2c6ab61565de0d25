#pragma once
// The syntax of pre-tokenizers' regular expressions: Oniguruma's Ruby syntax, as far as tokenizers need it.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/code_point_set.h"

namespace megalith {

/// An expression as a tree.
struct WordExpression {
  enum class Kind : uint8_t {
    kSequence,      // children one after another; none: the empty expression
    kAlternatives,  // the first child that leads to a match
    kSet,           // one code point of `set`
    kRepeat,        // the child, `minimum` to `maximum` times
    kLook,          // what lies before or behind must (not) match the child, and is not taken
    kBeginOfText,
    kEndOfText,
    kEndOfTextOrLastLine,  // \Z: also before a line feed that ends the text
    kBeginOfLine,
    kEndOfLine,
    kWordBorder,
    kNoWordBorder,
  };
  enum class Greed : uint8_t { kGreedy, kLazy, kPossessive };
  enum class Look : uint8_t { kAhead, kNotAhead, kBehind, kNotBehind };
  static constexpr uint32_t kUnbounded = 0xFFFFFFFF;

  Kind kind = Kind::kSequence;
  Greed greed = Greed::kGreedy;
  Look look = Look::kAhead;
  uint32_t minimum = 0, maximum = 0;
  CodePointSet set;
  std::vector<WordExpression> children;

  bool matches_nothing_too() const;  // whether it can match the empty text
};

/// Throws kInvalidModel with the construct and its place for what is malformed or not supported; `source` begins the
/// message.
WordExpression parse_word_expression(std::string_view expression, const std::string& source);

}  // namespace megalith
