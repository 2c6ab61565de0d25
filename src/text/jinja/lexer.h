#pragma once
// Cuts a template into tokens, one at a time, with Jinja2's rules for white space: trim_blocks and lstrip_blocks are
// on, keep_trailing_newline is off.
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/big_integer.h"
#include "text/jinja/budget.h"

namespace megalith::jinja {

/// A template that cannot be parsed, and where.
class SyntaxFault : public Fault {
 public:
  SyntaxFault(const std::string& message, int line) : Fault(message), line_(line) {}
  int line() const { return line_; }

 private:
  int line_;
};

enum class TokenType : std::uint8_t {
  kText,            // between the tags
  kPrintBegin,      // {{
  kPrintEnd,        // }}
  kStatementBegin,  // {%
  kStatementEnd,    // %}
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  int line = 1;
  std::string text;  // of text, name, operator; of a string its value, without quotes and escapes
  BigInteger integer;
  double number = 0;

  bool is_operator(std::string_view symbol) const { return type == TokenType::kOperator && text == symbol; }
  bool is_name(std::string_view name) const { return type == TokenType::kName && text == name; }
};

/// How an error message calls the token.
std::string describe(const Token& token);

class Lexer {
 public:
  explicit Lexer(std::string_view source);
  /// The next token; kEnd at the end and ever after. Throws SyntaxFault.
  Token next();

 private:
  enum class Mode { kText, kPrint, kStatement };

  // Outside tags: text up to and including the opening of the next tag.
  void read_text();
  void emit_text(std::string_view text, char sign, bool may_trim_line);
  void read_comment();
  std::size_t raw_tag_length(std::string_view from, std::string_view word) const;
  void read_raw();

  // Inside tags.
  Token next_inside();
  bool close_tag(Token& token);
  void read_number(Token& token);
  void read_string(Token& token);
  void read_operator(Token& token);
  std::string unescape(std::string_view quoted) const;

  std::string_view rest() const { return std::string_view(source_).substr(position_); }
  void advance(std::size_t bytes);
  void skip_space();
  /// After the sign that may stand before the closing %} or #}: skips it, and the white space that it governs.
  void skip_end(std::string_view end, char sign);
  [[noreturn]] void fail(const std::string& message) const;

  std::string source_;
  std::size_t position_ = 0;
  int line_ = 1;
  Mode mode_ = Mode::kText;
  bool line_starting_ = true;   // does position_ begin a line, as far as lstrip_blocks is concerned?
  std::vector<char> brackets_;  // the closing brackets that are due inside the tag
  std::deque<Token> ready_;     // found, not yet given out
};

}  // namespace megalith::jinja
