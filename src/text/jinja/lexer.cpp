#include "text/jinja/lexer.h"

#include <algorithm>

#include "text/jinja/code_points.h"
#include "text/jinja/number_text.h"
#include "text/jinja/strings.h"

namespace megalith::jinja {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

/// Where the next {{, {% or {# starts.
std::size_t find_tag(std::string_view text) {
  for (std::size_t at = text.find('{'); at != kNowhere && at + 1 < text.size(); at = text.find('{', at + 1)) {
    if (text[at + 1] == '{' || text[at + 1] == '%' || text[at + 1] == '#') return at;
  }
  return kNowhere;
}

/// The bytes of white space that the text starts with.
std::size_t space_length(std::string_view text) { return text.size() - strip(text, Side::kLeft).size(); }

/// The + or - at the start of the text, or 0.
char sign_at(std::string_view text) {
  return !text.empty() && (text.front() == '-' || text.front() == '+') ? text.front() : '\0';
}

std::string normalize_newlines(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      result.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      result.push_back(source[i]);
    }
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

/// The length of digits with single underscores between them.
std::size_t digits_length(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() &&
         (is_ascii_digit(text[length]) ||
          (length > 0 && text[length] == '_' && length + 1 < text.size() && is_ascii_digit(text[length + 1])))) {
    ++length;
  }
  return length;
}

/// The length of a float literal, 0 if there is none: digits, then a fraction or an exponent or both.
std::size_t float_length(std::string_view text) {
  const std::size_t whole = digits_length(text);
  if (whole == 0) return 0;
  std::size_t length = whole;
  if (length < text.size() && text[length] == '.') {
    const std::size_t fraction = digits_length(text.substr(length + 1));
    if (fraction > 0) length += 1 + fraction;
  }
  if (length < text.size() && (text[length] | 0x20) == 'e') {
    const std::size_t sign = sign_at(text.substr(length + 1)) != '\0' ? 1 : 0;
    const std::size_t exponent = digits_length(text.substr(length + 1 + sign));
    if (exponent > 0) length += 1 + sign + exponent;
  }
  return length > whole ? length : 0;
}

/// The length of an integer literal: 0x, 0o, 0b, decimal, or zeros.
std::size_t integer_length(std::string_view text) {
  if (text[0] != '0') return digits_length(text);
  const char kind = text.size() > 1 ? static_cast<char>(text[1] | 0x20) : '\0';
  const auto is_digit_of_kind = [kind](char c) {
    if (kind == 'b') return c == '0' || c == '1';
    if (kind == 'o') return c >= '0' && c <= '7';
    return is_ascii_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
  };
  if (kind == 'b' || kind == 'o' || kind == 'x') {
    std::size_t length = 2;
    while (length < text.size()) {
      const std::size_t digit = length + (text[length] == '_' ? 1 : 0);
      if (digit >= text.size() || !is_digit_of_kind(text[digit])) break;
      length = digit + 1;
    }
    if (length > 2) return length;
  }
  std::size_t zeros = 1;
  while (zeros < text.size() && (text[zeros] == '0' || text.substr(zeros).starts_with("_0"))) {
    zeros += text[zeros] == '0' ? 1 : 2;
  }
  return zeros;
}

std::size_t name_length(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    std::size_t after = length;
    const char32_t c = decode_code_point(text, after);
    const bool starts = c == '_' || is_alpha(c);
    if (!starts && (length == 0 || !is_decimal(c))) break;
    length = after;
  }
  return length;
}

}  // namespace

std::string describe(const Token& token) {
  switch (token.type) {
    case TokenType::kText:
      return "template data / text";
    case TokenType::kPrintBegin:
      return "begin of print statement";
    case TokenType::kPrintEnd:
      return "end of print statement";
    case TokenType::kStatementBegin:
      return "begin of statement block";
    case TokenType::kStatementEnd:
      return "end of statement block";
    case TokenType::kString:
      return "string";
    case TokenType::kInteger:
      return "integer";
    case TokenType::kFloat:
      return "float";
    case TokenType::kEnd:
      return "end of template";
    case TokenType::kName:
    case TokenType::kOperator:
      return token.text;
  }
  return token.text;
}

Lexer::Lexer(std::string_view source) : source_(normalize_newlines(source)) {}

Token Lexer::next() {
  while (ready_.empty()) {
    if (mode_ != Mode::kText) return next_inside();
    if (position_ == source_.size()) {
      Token end;
      end.line = line_;
      return end;
    }
    read_text();
  }
  Token token = std::move(ready_.front());
  ready_.pop_front();
  return token;
}

void Lexer::read_text() {
  const std::size_t tag = find_tag(rest());
  if (tag == kNowhere) {
    emit_text(rest(), '+', false);
    advance(rest().size());
    return;
  }
  const char kind = rest()[tag + 1];
  const char sign = sign_at(rest().substr(tag + 2));
  emit_text(rest().substr(0, tag), sign, kind != '{');
  advance(tag);
  line_starting_ = false;
  if (kind == '%' && raw_tag_length(rest(), "raw") > 0) return read_raw();
  Token begin;
  begin.line = line_;
  advance(sign != '\0' ? 3 : 2);
  if (kind == '#') return read_comment();
  begin.type = kind == '{' ? TokenType::kPrintBegin : TokenType::kStatementBegin;
  mode_ = kind == '{' ? Mode::kPrint : Mode::kStatement;
  ready_.push_back(std::move(begin));
}

/// Text that stands before a tag with the given sign. A minus strips all white space at its end; otherwise, before a
/// tag that prints nothing, the indentation of the tag's line goes.
void Lexer::emit_text(std::string_view text, char sign, bool may_trim_line) {
  if (sign == '-') {
    text = strip(text, Side::kRight);
  } else if (sign != '+' && may_trim_line) {
    const std::size_t newline = text.rfind('\n');
    const std::size_t line_start = newline == kNowhere ? 0 : newline + 1;
    const bool is_indentation = strip(text.substr(line_start), Side::kLeft).empty();
    if (is_indentation && (line_start > 0 || line_starting_)) text = text.substr(0, line_start);
  }
  if (text.empty()) return;
  Token token;
  token.type = TokenType::kText;
  token.text = text;
  token.line = line_;
  ready_.push_back(std::move(token));
}

void Lexer::read_comment() {
  const std::size_t end = rest().find("#}");
  if (end == kNowhere) fail("Missing end of comment tag");
  const char sign = end > 0 ? sign_at(rest().substr(end - 1)) : '\0';
  advance(end);
  skip_end("#}", sign);
}

/// The length of "{%- raw" with its white space, 0 if `from` starts with something else.
std::size_t Lexer::raw_tag_length(std::string_view from, std::string_view word) const {
  std::size_t length = 2;
  if (!from.starts_with("{%")) return 0;
  if (sign_at(from.substr(length)) != '\0') ++length;
  length += space_length(from.substr(length));
  if (!from.substr(length).starts_with(word)) return 0;
  length += word.size();
  length += space_length(from.substr(length));
  const std::string_view end = from.substr(length);
  const bool closes = end.starts_with("%}") || end.starts_with("-%}") || (word == "endraw" && end.starts_with("+%}"));
  return closes ? length : 0;
}

void Lexer::read_raw() {
  advance(raw_tag_length(rest(), "raw"));
  const char opening_sign = sign_at(rest());
  advance(opening_sign != '\0' ? 3 : 2);
  if (opening_sign == '-') skip_space();
  line_starting_ = source_[position_ - 1] == '\n';
  std::size_t end = rest().find("{%");
  while (end != kNowhere && raw_tag_length(rest().substr(end), "endraw") == 0) end = rest().find("{%", end + 1);
  if (end == kNowhere) fail("Missing end of raw directive");
  emit_text(rest().substr(0, end), sign_at(rest().substr(end + 2)), true);
  advance(end);
  advance(raw_tag_length(rest(), "endraw"));
  const char closing_sign = sign_at(rest());
  if (closing_sign != '\0') advance(1);
  skip_end("%}", closing_sign);
}

Token Lexer::next_inside() {
  Token token;
  token.line = line_;
  if (brackets_.empty() && close_tag(token)) return token;
  skip_space();
  token.line = line_;
  if (brackets_.empty() && close_tag(token)) return token;
  if (rest().empty()) {
    mode_ = Mode::kText;
    return token;
  }
  const char first = rest().front();
  if (is_ascii_digit(first)) {
    read_number(token);
  } else if (first == '\'' || first == '"') {
    read_string(token);
  } else if (const std::size_t length = name_length(rest()); length > 0) {
    token.type = TokenType::kName;
    token.text = rest().substr(0, length);
    advance(length);
  } else {
    read_operator(token);
  }
  return token;
}

bool Lexer::close_tag(Token& token) {
  const std::string_view end = mode_ == Mode::kPrint ? "}}" : "%}";
  char sign = '\0';
  if (!rest().starts_with(end)) {
    sign = sign_at(rest());
    if (sign == '\0' || (sign == '+' && mode_ == Mode::kPrint) || !rest().substr(1).starts_with(end)) return false;
    advance(1);
  }
  token.type = mode_ == Mode::kPrint ? TokenType::kPrintEnd : TokenType::kStatementEnd;
  mode_ = Mode::kText;
  skip_end(end, sign);
  return true;
}

void Lexer::skip_end(std::string_view end, char sign) {
  advance(end.size());
  if (sign == '-') {
    skip_space();
  } else if (sign != '+' && end != "}}" && rest().starts_with('\n')) {
    advance(1);
  }
  line_starting_ = source_[position_ - 1] == '\n';
}

void Lexer::read_number(Token& token) {
  const bool follows_dot = position_ > 0 && source_[position_ - 1] == '.';  // a.0.1 holds no 0.1
  std::size_t length = follows_dot ? 0 : float_length(rest());
  if (length > 0) {
    token.type = TokenType::kFloat;
    const std::optional<double> number = parse_float(rest().substr(0, length));
    if (!number) fail("malformed number");
    token.number = *number;
  } else {
    length = integer_length(rest());
    token.type = TokenType::kInteger;
    std::optional<BigInteger> integer;
    try {
      integer = parse_big_integer(rest().substr(0, length), 0);
    } catch (const Fault& fault) {
      fail(fault.what());
    }
    if (!integer) fail("malformed number");
    token.integer = std::move(*integer);
  }
  advance(length);
}

void Lexer::read_string(Token& token) {
  const char quote = rest().front();
  std::size_t end = 1;
  while (end < rest().size() && rest()[end] != quote) end += rest()[end] == '\\' ? 2 : 1;
  if (end >= rest().size()) fail(std::string("unexpected char '") + quote + "': the string does not end");
  token.type = TokenType::kString;
  token.text = unescape(rest().substr(1, end - 1));
  advance(end + 1);
}

void Lexer::read_operator(Token& token) {
  static constexpr std::string_view kDouble[] = {"//", "**", "==", "!=", ">=", "<="};
  static constexpr std::string_view kSingle = "+-/*%~[](){}><=.:|,;";
  const auto found =
      std::find_if(std::begin(kDouble), std::end(kDouble), [&](auto op) { return rest().starts_with(op); });
  std::size_t length = 2;
  if (found == std::end(kDouble)) {
    std::size_t after = 0;
    decode_code_point(rest(), after);
    if (kSingle.find(rest().front()) == kNowhere)
      fail("unexpected char '" + std::string(rest().substr(0, after)) + "'");
    length = 1;
  }
  token.type = TokenType::kOperator;
  token.text.assign(rest(), 0, length);
  const char symbol = length == 1 ? rest().front() : '\0';
  if (symbol == '(') brackets_.push_back(')');
  if (symbol == '[') brackets_.push_back(']');
  if (symbol == '{') brackets_.push_back('}');
  if (symbol == ')' || symbol == ']' || symbol == '}') {
    if (brackets_.empty()) fail("unexpected '" + token.text + "'");
    if (brackets_.back() != symbol) fail("unexpected '" + token.text + "', expected '" + brackets_.back() + "'");
    brackets_.pop_back();
  }
  advance(length);
}

/// Python's escapes in string literals; an unknown one stands for itself, backslash included.
std::string Lexer::unescape(std::string_view quoted) const {
  std::string result;
  const auto read_code = [&](std::size_t& at, std::size_t digits, unsigned base) {
    char32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at) {
      const char c = at < quoted.size() ? quoted[at] : '\0';
      const int digit = is_ascii_digit(c)                        ? c - '0'
                        : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                 : 99;
      if (digit >= static_cast<int>(base)) {
        if (base == 8 && i > 0) break;
        fail("truncated escape in a string");
      }
      code = code * base + static_cast<char32_t>(digit);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) fail("an escape in a string is not a character");
    append_code_point(result, code);
  };
  for (std::size_t at = 0; at < quoted.size();) {
    const char c = quoted[at++];
    if (c != '\\' || at == quoted.size()) {
      result.push_back(c);
      continue;
    }
    const char kind = quoted[at++];
    static constexpr std::string_view kKinds = "abfnrtv\\'\"";
    static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (const std::size_t simple = kKinds.find(kind); simple != kNowhere) {
      result.push_back(kMeanings[simple]);
    } else if (kind == 'x') {
      read_code(at, 2, 16);
    } else if (kind == 'u') {
      read_code(at, 4, 16);
    } else if (kind == 'U') {
      read_code(at, 8, 16);
    } else if (kind >= '0' && kind <= '7') {
      read_code(--at, 3, 8);
    } else if (kind == 'N') {
      fail("\\N{...} is not supported in a string");
    } else if (kind != '\n') {
      result.push_back('\\');
      result.push_back(kind);
    }
  }
  return result;
}

void Lexer::advance(std::size_t bytes) {
  const std::string_view passed = rest().substr(0, bytes);
  line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
  position_ += passed.size();
}

void Lexer::skip_space() { advance(space_length(rest())); }

void Lexer::fail(const std::string& message) const { throw SyntaxFault(message, line_); }

}  // namespace megalith::jinja
