#pragma once
// Expressions, by recursive descent: one function per level of precedence, loosest first.
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace megalith::jinja {

class ExpressionParser {
 public:
  ExpressionParser(std::string_view source, ast::Template& into);

 protected:
  enum class InlineIf { kAllowed, kForbidden };  // forbidden where `if` begins another clause

  // A tuple without parentheses, or a single expression.
  ast::ExpressionPtr parse_tuple(InlineIf inline_if = InlineIf::kAllowed);
  ast::ExpressionPtr parse_expression(InlineIf inline_if = InlineIf::kAllowed);
  /// One or more filters, the first without its bar; they apply to the body of a block.
  ast::ExpressionPtr parse_block_filter();

  // ---- tokens
  const Token& current() const { return current_; }
  const Token& peek();
  Token take();
  bool take_name(std::string_view name);  // if it is the current token
  bool take_operator(std::string_view symbol);
  void expect_operator(std::string_view symbol);
  Token expect(TokenType type, std::string_view what);
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail(const std::string& message, int line) const;

  ast::NameId intern(const std::string& name);
  bool knows(std::string_view name) const { return name_ids_.contains(name); }
  /// Notes a mention of caller, varargs or kwargs in the macro bodies around it.
  void note_special(ast::NameId id);

  /// One level of nesting, for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

  ast::Template& template_;
  std::vector<ast::MacroBody*> open_macros_;

 private:
  ast::ExpressionPtr parse_conditional();
  ast::ExpressionPtr parse_or();
  ast::ExpressionPtr parse_and();
  ast::ExpressionPtr parse_not();
  ast::ExpressionPtr parse_comparison();
  std::optional<ast::Comparison::Operator> take_comparison();
  ast::ExpressionPtr parse_sum();
  ast::ExpressionPtr parse_concatenation();
  ast::ExpressionPtr parse_product();
  ast::ExpressionPtr parse_power();
  enum class Filters { kAllowed, kForbidden };  // forbidden between a sign and its operand
  ast::ExpressionPtr parse_unary(Filters filters = Filters::kAllowed);
  ast::ExpressionPtr parse_primary();
  ast::ExpressionPtr parse_name();
  ast::ExpressionPtr parse_list();
  ast::ExpressionPtr parse_dict();
  ast::ExpressionPtr parse_parentheses();
  ast::ExpressionPtr parse_postfix(ast::ExpressionPtr object);
  ast::ExpressionPtr parse_attribute(ast::ExpressionPtr object);
  ast::ExpressionPtr parse_subscript(ast::ExpressionPtr object);
  ast::ExpressionPtr parse_call(ast::ExpressionPtr callee);
  ast::CallArguments parse_arguments();
  ast::ExpressionPtr parse_filters_and_tests(ast::ExpressionPtr value);
  ast::ExpressionPtr parse_filter(ast::ExpressionPtr value);  // from the filter's name on
  ast::ExpressionPtr parse_test(ast::ExpressionPtr value);
  std::string parse_dotted_name();
  bool starts_test_argument();
  bool ends_tuple() const;

  using Children = std::initializer_list<const ast::Expression*>;
  ast::ExpressionPtr make(int line, ast::Expression::Node node, Children children = {});
  ast::ExpressionPtr make(int line, ast::Expression::Node node, int height_below);
  ast::ExpressionPtr constant(int line, Value value);

  Lexer lexer_;
  Token current_;
  std::optional<Token> peeked_;
  int nesting_ = 0;
  std::map<std::string, ast::NameId, std::less<>> name_ids_;
};

}  // namespace megalith::jinja
