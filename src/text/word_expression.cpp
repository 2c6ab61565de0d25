#include "text/word_expression.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace megalith {
namespace {

using Kind = WordExpression::Kind;
using Greed = WordExpression::Greed;
using Look = WordExpression::Look;

constexpr size_t kMaxLength = 1 << 16;    // code points
constexpr size_t kMaxDepth = 32;          // of groups and classes
constexpr uint32_t kMaxCount = 1000;      // of a repeat
constexpr size_t kMaxQuantifiers = 4;     // of one atom
constexpr size_t kMaxClassItems = 10000;  // code points and ranges of all classes together

bool is_ascii_letter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

std::optional<uint32_t> hex_value(char32_t c) {
  if (is_digit(c)) return c - '0';
  if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
  return std::nullopt;
}

/// What \n, \t and so on mean.
std::optional<char32_t> control_escape(char32_t letter) {
  switch (letter) {
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case 'a':
      return 0x07;
    case 'e':
      return 0x1B;
    default:
      return std::nullopt;
  }
}

/// What \s, \D and so on mean.
std::optional<CodePointSet> class_escape(char32_t letter) {
  CodePointSet set;
  switch (letter | 0x20) {
    case 's':
      set = CodePointSet::with_property([](CodePointProperties p) { return p.is_space(); });
      break;
    case 'd':
      set = CodePointSet::with_property([](CodePointProperties p) { return p.category() == Category::kNd; });
      break;
    case 'w':
      set = CodePointSet::with_property([](CodePointProperties p) { return p.is_word(); });
      break;
    case 'h':
      set = CodePointSet('0', '9').united({'A', 'F'}).united({'a', 'f'});
      break;
    default:
      return std::nullopt;
  }
  if (!is_ascii_letter(letter)) return std::nullopt;
  return letter < 'a' ? set.complement() : set;
}

std::optional<Kind> anchor_escape(char32_t letter) {
  switch (letter) {
    case 'A':
      return Kind::kBeginOfText;
    case 'z':
      return Kind::kEndOfText;
    case 'Z':
      return Kind::kEndOfTextOrLastLine;
    case 'b':
      return Kind::kWordBorder;
    case 'B':
      return Kind::kNoWordBorder;
    default:
      return std::nullopt;
  }
}

WordExpression node_of(Kind kind) {
  WordExpression node;
  node.kind = kind;
  return node;
}

class Parser {
 public:
  Parser(std::string_view expression, const std::string& source) : source_(source), expression_(expression) {
    if (find_invalid_utf8(expression, 0) != expression.size()) fail_at(0, "is not valid UTF-8");
    for (size_t i = 0; i < expression.size();) {
      const Utf8Step step = decode_utf8(expression, i);
      text_.push_back(step.code_point);
      i += step.length_bytes;
    }
    if (text_.size() > kMaxLength) fail_at(0, "is longer than " + std::to_string(kMaxLength) + " characters");
  }

  WordExpression parse() {
    WordExpression whole = alternatives();
    if (!at_end()) fail("has a \")\" without a \"(\"");
    return whole;
  }

 private:
  bool at_end() const { return position_ == text_.size(); }
  /// The code point `offset` ahead; U+FFFFFFFF past the end.
  char32_t peek(size_t offset = 0) const {
    return position_ + offset < text_.size() ? text_[position_ + offset] : 0xFFFFFFFF;
  }
  bool take(std::u32string_view wanted) {
    if (!std::u32string_view(text_).substr(position_).starts_with(wanted)) return false;
    position_ += wanted.size();
    return true;
  }
  [[noreturn]] void fail(const std::string& problem) const { fail_at(position_, problem); }
  [[noreturn]] void fail_at(size_t position, const std::string& problem) const {
    std::string shown(expression_.substr(0, 200));
    shown.resize(find_invalid_utf8(shown, 0));
    throw Error(ErrorKind::kInvalidModel, source_ + "the regular expression \"" + shown + "\" " + problem +
                                              " (at character " + std::to_string(position + 1) +
                                              "); this pre-tokenizer cannot be used here");
  }
  void enter() {
    if (++depth_ > kMaxDepth) fail("nests groups or classes more than " + std::to_string(kMaxDepth) + " deep");
  }

  // One branch of "a|b", up to a closing parenthesis. "(?i)" in the middle holds to the end of the group, with its
  // later branches, as in Ruby.
  WordExpression alternatives() {
    const bool ignore_case_before = ignore_case_;
    WordExpression whole = node_of(Kind::kAlternatives);
    whole.children.push_back(sequence());
    while (take(U"|")) whole.children.push_back(sequence());
    ignore_case_ = ignore_case_before;
    if (whole.children.size() > 1) return whole;
    WordExpression only = std::move(whole.children.front());
    return only;
  }

  WordExpression sequence() {
    WordExpression whole = node_of(Kind::kSequence);
    while (!at_end() && peek() != '|' && peek() != ')') {
      const size_t begin = position_;
      if (take(U"(?i)")) {
        ignore_case_ = true;
        whole.children.push_back(alternatives());
        break;
      }
      check_multiple_fold(whole, begin);
      whole.children.push_back(quantified(atom()));
    }
    if (whole.children.size() == 1 && whole.children.front().kind == Kind::kSet) {
      WordExpression only = std::move(whole.children.front());
      return only;
    }
    return whole;
  }

  /// Without regard to case one code point may stand for two ("ß" for "ss"): refused, as nobody's expression needs it.
  void check_multiple_fold(const WordExpression& before, size_t begin) const {
    if (!ignore_case_ || begin == 0) return;
    const auto lower = [](char32_t c) { return is_ascii_letter(c) ? c | 0x20 : c; };
    const std::u32string_view pair = std::u32string_view(text_).substr(begin - 1, 2);
    if (before.children.empty() || pair.size() < 2) return;
    const char32_t folded[] = {lower(pair[0]), lower(pair[1])};
    for (const std::u32string_view refused : {U"ss", U"ff", U"fi", U"fl", U"st"}) {
      if (refused == std::u32string_view(folded, 2)) {
        fail_at(begin, "ignores the case of letters that one ligature can stand for, which is not supported");
      }
    }
  }

  WordExpression quantified(WordExpression atom) {
    for (size_t n_quantifiers = 0;;) {
      const size_t begin = position_;
      WordExpression repeat = node_of(Kind::kRepeat);
      const bool interval = peek() == '{';
      if (!read_quantifier(repeat)) return atom;
      if (atom.kind != Kind::kSet && atom.kind != Kind::kSequence && atom.kind != Kind::kAlternatives &&
          atom.kind != Kind::kRepeat) {
        fail_at(begin, "repeats what takes no text");
      }
      if (repeat.maximum > 1 && atom.matches_nothing_too()) {
        fail_at(begin, "repeats what can match nothing, which is not supported");
      }
      if (++n_quantifiers > kMaxQuantifiers) fail_at(begin, "repeats repeats too often");
      if (take(U"?")) {
        if (interval && repeat.minimum == repeat.maximum) fail("has \"{n}?\", which is not supported");
        repeat.greed = Greed::kLazy;
      } else if (!interval && take(U"+")) {
        repeat.greed = Greed::kPossessive;
        if (atom.kind != Kind::kSet) {
          fail_at(begin, "repeats a group possessively, which is supported for single characters only");
        }
      }
      repeat.children.push_back(std::move(atom));
      atom = std::move(repeat);
    }
  }

  bool read_quantifier(WordExpression& repeat) {
    const size_t begin = position_;
    repeat.minimum = 0;
    repeat.maximum = WordExpression::kUnbounded;
    if (take(U"*")) return true;
    if (take(U"+")) {
      repeat.minimum = 1;
      return true;
    }
    if (take(U"?")) {
      repeat.maximum = 1;
      return true;
    }
    if (!take(U"{")) return false;
    const std::optional<uint32_t> low = number();
    const bool comma = take(U",");
    const std::optional<uint32_t> high = comma ? number() : low;
    // Anything else in braces is text.
    if ((!low && !high) || !take(U"}")) {
      position_ = begin;
      return false;
    }
    repeat.minimum = low.value_or(0);
    repeat.maximum = high.value_or(WordExpression::kUnbounded);
    if (repeat.minimum > repeat.maximum) fail_at(begin, "has a repeat whose least count exceeds its greatest");
    if (repeat.minimum > kMaxCount || (high && *high > kMaxCount)) {
      fail_at(begin, "has a repeat of more than " + std::to_string(kMaxCount));
    }
    return true;
  }

  std::optional<uint32_t> number() {
    if (!is_digit(peek())) return std::nullopt;
    uint32_t value = 0;
    for (; is_digit(peek()); ++position_) value = std::min<uint32_t>(value * 10 + (peek() - '0'), 1000000);
    return value;
  }

  WordExpression atom() {
    const char32_t c = peek();
    if (c == '(') return group();
    if (c == '[') return set_node(character_class(), position_);
    if (c == '\\') return escape();
    WordExpression ignored;
    if (c == '*' || c == '+' || c == '?' || (c == '{' && read_quantifier(ignored))) fail("has a repeat of nothing");
    ++position_;
    if (c == '.') return set_node(CodePointSet('\n', '\n').complement(), position_);
    if (c == '^') return node_of(Kind::kBeginOfLine);
    if (c == '$') return node_of(Kind::kEndOfLine);
    return literal(c, position_ - 1);
  }

  WordExpression literal(char32_t c, size_t begin) {
    WordExpression node = node_of(Kind::kSet);
    node.set = {c, c};
    return ignore_case_ ? fold(std::move(node), begin) : node;
  }

  WordExpression set_node(CodePointSet set, size_t begin) {
    WordExpression node = node_of(Kind::kSet);
    node.set = std::move(set);
    return ignore_case_ ? fold(std::move(node), begin) : node;
  }

  /// Adds the other cases of ASCII letters and, as Unicode folds them, the long s and the Kelvin sign.
  WordExpression fold(WordExpression node, size_t begin) const {
    const CodePointSet letters = node.set.intersected(CodePointSet('A', 'Z').united({'a', 'z'}));
    for (const CodePointSet::Range& range : letters.ranges()) {
      const char32_t flip = range.first ^ 0x20;
      node.set = node.set.united({flip, flip + (range.last - range.first)});
    }
    const bool ascii = node.set.empty() || node.set.ranges().back().last < 0x80;
    if (!ascii && !is_white_space_or_digit(node.set)) {
      fail_at(begin, "ignores the case of more than ASCII letters, which is not supported");
    }
    if (node.set.contains('s')) node.set = node.set.united({0x17F, 0x17F});
    if (node.set.contains('k')) node.set = node.set.united({0x212A, 0x212A});
    return node;
  }
  static bool is_white_space_or_digit(const CodePointSet& set) {
    return std::any_of(std::begin(U"sSdD"), std::end(U"sSdD") - 1,
                       [&](char32_t letter) { return class_escape(letter) == set; });
  }

  WordExpression group() {
    const size_t begin = position_;
    enter();
    ++position_;
    const bool ignore_case_before = ignore_case_;
    std::optional<Look> look;
    if (take(U"?=")) {
      look = Look::kAhead;
    } else if (take(U"?!")) {
      look = Look::kNotAhead;
    } else if (take(U"?<=")) {
      look = Look::kBehind;
    } else if (take(U"?<!")) {
      look = Look::kNotBehind;
    } else if (take(U"?i:")) {
      ignore_case_ = true;
    } else if (take(U"?-i:")) {
      ignore_case_ = false;
    } else if (!take(U"?:") && peek() == '?') {
      fail_at(begin, "has a group of the kind \"(" + shown(position_, 2) + "\", which is not supported");
    }
    WordExpression body = alternatives();
    if (!take(U")")) fail_at(begin, "has a \"(\" without a \")\"");
    ignore_case_ = ignore_case_before;
    --depth_;
    if (!look) {
      // A group of its own, so that a quantifier repeats all of it.
      if (body.kind == Kind::kSet || body.kind == Kind::kAlternatives) return body;
      WordExpression whole = node_of(Kind::kSequence);
      whole.children.push_back(std::move(body));
      return whole;
    }
    while (body.kind == Kind::kSequence && body.children.size() == 1) {
      WordExpression only = std::move(body.children.front());
      body = std::move(only);
    }
    const bool behind = *look == Look::kBehind || *look == Look::kNotBehind;
    if (behind && body.kind != Kind::kSet) {
      fail_at(begin, "looks behind for more than one character, which is not supported");
    }
    WordExpression node = node_of(Kind::kLook);
    node.look = *look;
    node.children.push_back(std::move(body));
    return node;
  }

  std::string shown(size_t begin, size_t count) const {
    std::string out;
    for (size_t i = begin; i < std::min(begin + count, text_.size()); ++i) append_utf8(out, text_[i]);
    return out;
  }

  WordExpression escape() {
    const size_t begin = position_;
    const char32_t letter = peek(1);
    if (const std::optional<Kind> anchor = anchor_escape(letter)) {
      position_ += 2;
      return node_of(*anchor);
    }
    if (const std::optional<CodePointSet> set = escaped_set()) return set_node(*set, begin);
    return literal(escaped_code_point(), begin);
  }

  /// \s, \p{..} and so on, if that is what comes.
  std::optional<CodePointSet> escaped_set() {
    const size_t begin = position_;
    const char32_t letter = peek(1);
    if (std::optional<CodePointSet> set = class_escape(letter)) {
      position_ += 2;
      return set;
    }
    if (letter != 'p' && letter != 'P') return std::nullopt;
    position_ += 2;
    if (!take(U"{")) fail_at(begin, "has a \\p without braces");
    const bool negated = take(U"^") != (letter == 'P');
    std::string name;
    while (!at_end() && peek() != '}' && name.size() < 40) append_utf8(name, text_[position_++]);
    if (!take(U"}")) fail_at(begin, "has a \\p{ without its end");
    const std::optional<CodePointSet> set = CodePointSet::named(name);
    if (!set) fail_at(begin, "names the property \"" + name + "\", which is not known here");
    return negated ? set->complement() : *set;
  }

  char32_t escaped_code_point() {
    const size_t begin = position_++;
    if (at_end()) fail_at(begin, "ends in a backslash");
    const char32_t letter = text_[position_++];
    if (const std::optional<char32_t> control = control_escape(letter)) return *control;
    if (letter == 'u') return hexadecimal(begin, 4, 4);
    if (letter == 'x') {
      if (!take(U"{")) {
        const char32_t value = hexadecimal(begin, 1, 2);
        if (value > 0x7F) fail_at(begin, "has a byte that is no character");
        return value;
      }
      const char32_t value = hexadecimal(begin, 1, 8);
      if (!take(U"}")) fail_at(begin, "has a \\x{ without its end");
      return value;
    }
    if (letter >= 0x80 || is_ascii_letter(letter) || is_digit(letter)) {
      fail_at(begin, "has the escape \"\\" + shown(begin + 1, 1) + "\", which is not supported");
    }
    return letter;
  }

  char32_t hexadecimal(size_t begin, size_t least, size_t most) {
    uint64_t value = 0;
    size_t count = 0;
    for (; count < most; ++count, ++position_) {
      const std::optional<uint32_t> digit = hex_value(peek());
      if (!digit) break;
      value = value << 4 | *digit;
    }
    if (count < least || value > CodePointSet::kLast || (value >= 0xD800 && value < 0xE000)) {
      fail_at(begin, "has a code point that is none");
    }
    return static_cast<char32_t>(value);
  }

  /// "[...]": unions of items, intersected where "&&" stands.
  CodePointSet character_class() {
    const size_t begin = position_++;
    enter();
    const bool negated = take(U"^");
    std::optional<CodePointSet> intersection;
    CodePointSet items;
    bool is_first = true;
    for (;; is_first = false) {
      if (at_end()) fail_at(begin, "has a \"[\" without a \"]\"");
      if (peek() == ']' && !is_first) break;
      if (take(U"&&")) {
        intersection = intersection ? intersection->intersected(items) : items;
        items = {};
        continue;
      }
      items = items.united(class_item());
    }
    ++position_;
    --depth_;
    if (intersection) items = intersection->intersected(items);
    return negated ? items.complement() : items;
  }

  CodePointSet class_item() {
    const size_t begin = position_;
    if (++class_items_ > kMaxClassItems) fail("has too many characters in its classes");
    if (peek() == '[') {
      if (peek(1) == ':') fail("has a POSIX bracket, which is not supported");
      CodePointSet nested = character_class();
      refuse_range(begin);
      return nested;
    }
    if (peek() == '\\') {
      if (std::optional<CodePointSet> set = escaped_set()) {
        refuse_range(begin);
        return *set;
      }
    }
    const char32_t first = class_code_point();
    if (peek() != '-' || peek(1) == ']') return {first, first};
    if (first == '-') fail_at(begin, "has a \"-\" of unclear meaning in a class; write \"\\-\"");
    ++position_;
    if (peek() == '[' || (peek() == '&' && peek(1) == '&')) fail("has a range without an end");
    if (peek() == '\\' && (class_escape(peek(1)) || (peek(1) | 0x20) == 'p')) fail("has a range that ends in a class");
    const char32_t last = class_code_point();
    if (first > last) fail_at(begin, "has a range that ends before it begins");
    refuse_range(begin);
    return {first, last};
  }

  /// "-" after a class or a range means something only at the end.
  void refuse_range(size_t begin) const {
    if (peek() == '-' && peek(1) != ']') fail_at(begin, "has a \"-\" of unclear meaning in a class; write \"\\-\"");
  }

  char32_t class_code_point() {
    if (at_end()) fail("ends inside a class");
    if (peek() != '\\') return text_[position_++];
    if (peek(1) == 'b') {
      position_ += 2;
      return 0x08;
    }
    return escaped_code_point();
  }

  const std::string& source_;
  std::string_view expression_;
  std::u32string text_;
  size_t position_ = 0;
  size_t depth_ = 0;
  size_t class_items_ = 0;
  bool ignore_case_ = false;
};

}  // namespace

bool WordExpression::matches_nothing_too() const {
  const auto can = [](const WordExpression& child) { return child.matches_nothing_too(); };
  switch (kind) {
    case Kind::kSequence:
      return std::all_of(children.begin(), children.end(), can);
    case Kind::kAlternatives:
      return std::any_of(children.begin(), children.end(), can);
    case Kind::kSet:
      return false;
    case Kind::kRepeat:
      return minimum == 0 || can(children.front());
    default:
      return true;
  }
}

WordExpression parse_word_expression(std::string_view expression, const std::string& source) {
  return Parser(expression, source).parse();
}

}  // namespace megalith
