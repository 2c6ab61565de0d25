#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "text/jinja/expression_parser.h"

namespace megalith::jinja {
namespace {

using ast::Body;
using ast::ExpressionPtr;
using EndTags = std::initializer_list<std::string_view>;

/// Statements, by recursive descent.
class StatementParser : private ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body parse_template() {
    Body body = parse_body({});
    if (has_blocks_ && knows("self")) {
      fail("'self' beside blocks is not supported: write what shall appear twice as a macro");
    }
    return body;
  }

 private:
  enum class Targets { kNames, kNamesAndAttributes };

  Body parse_body(EndTags end_tags);
  void parse_statement(Body& body, EndTags end_tags);
  /// The body of a statement whose own tag is read up to its end; the end tag's name is read, the rest is not.
  std::string parse_block(EndTags end_tags, Body& body);
  ast::Statement::Node parse_tag(const std::string& tag);
  [[noreturn]] void fail_unknown_tag(const std::string& tag, EndTags end_tags);
  [[noreturn]] void fail_end(EndTags end_tags);

  ast::Statement::Node parse_if();
  ast::Statement::Node parse_for();
  ast::Statement::Node parse_set();
  ast::Statement::Node parse_with();
  ast::Statement::Node parse_macro();
  ast::Statement::Node parse_call_block();
  ast::Statement::Node parse_filter_block();
  ast::Statement::Node parse_named_block();
  ast::Statement::Node parse_autoescape();
  void parse_print_list(Body& body);
  ast::Statement::Node parse_scoped(ast::ScopedBody::Kind kind, std::string_view end_tag);
  void parse_parameters(ast::MacroBody& macro);
  void parse_macro_body(ast::MacroBody& macro, std::string_view end_tag);

  ast::Target parse_target(Targets targets);
  ast::Target parse_single_target(Targets targets);

  int open_loops_ = 0;  // in the innermost macro
  bool has_blocks_ = false;
  std::vector<std::string> open_tags_;
};

Body StatementParser::parse_body(EndTags end_tags) {
  const Nesting nesting(*this);
  Body body;
  while (true) {
    const int line = current().line;
    switch (current().type) {
      case TokenType::kText:
        body.push_back({ast::Text{take().text}, line});
        break;
      case TokenType::kPrintBegin: {
        take();
        body.push_back({ast::Print{parse_tuple()}, line});
        expect(TokenType::kPrintEnd, "end of print statement");
        break;
      }
      case TokenType::kStatementBegin:
        take();
        if (std::any_of(end_tags.begin(), end_tags.end(), [this](auto tag) { return current().is_name(tag); }))
          return body;
        parse_statement(body, end_tags);
        break;
      default:
        if (end_tags.size() > 0) fail_end(end_tags);
        return body;
    }
  }
}

void StatementParser::parse_statement(Body& body, EndTags end_tags) {
  const int line = current().line;
  if (current().type != TokenType::kName) fail("tag name expected");
  static constexpr std::string_view kTags[] = {"if",         "for",    "set",     "with",  "macro",
                                               "call",       "filter", "block",   "print", "generation",
                                               "autoescape", "break",  "continue"};
  static constexpr std::string_view kOtherFiles[] = {"include", "import", "from", "extends"};
  const std::string tag = current().text;
  if (std::find(std::begin(kOtherFiles), std::end(kOtherFiles), tag) != std::end(kOtherFiles)) {
    fail("'" + tag + "' is not supported: a chat template is a single file");
  }
  if (std::find(std::begin(kTags), std::end(kTags), tag) == std::end(kTags)) fail_unknown_tag(tag, end_tags);
  take();
  open_tags_.push_back(tag);
  if (tag == "print") {
    parse_print_list(body);
  } else {
    body.push_back({parse_tag(tag), line});
  }
  open_tags_.pop_back();
  expect(TokenType::kStatementEnd, "end of statement block");
}

ast::Statement::Node StatementParser::parse_tag(const std::string& tag) {
  if (tag == "if") return parse_if();
  if (tag == "for") return parse_for();
  if (tag == "set") return parse_set();
  if (tag == "with") return parse_with();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "block") return parse_named_block();
  if (tag == "generation") return parse_scoped(ast::ScopedBody::Kind::kInner, "endgeneration");
  if (tag == "autoescape") return parse_autoescape();
  if (open_loops_ == 0) fail("'" + tag + "' outside loop");
  if (tag == "break") return ast::Break{};
  return ast::Continue{};
}

std::string StatementParser::parse_block(EndTags end_tags, Body& body) {
  take_operator(":");
  expect(TokenType::kStatementEnd, "end of statement block");
  body = parse_body(end_tags);
  return take().text;
}

void StatementParser::fail_unknown_tag(const std::string& tag, EndTags end_tags) {
  std::string message = "Encountered unknown tag '" + tag + "'.";
  if (end_tags.size() > 0) {
    message += " Jinja was looking for the following tags:";
    for (auto expected : end_tags)
      message += (expected == *end_tags.begin() ? " '" : " or '") + std::string(expected) + "'";
    message += ". The innermost block that needs to be closed is '" + open_tags_.back() + "'.";
  }
  fail(message);
}

void StatementParser::fail_end(EndTags end_tags) {
  std::string message = "Unexpected end of template. Jinja was looking for the following tags:";
  for (auto expected : end_tags)
    message += (expected == *end_tags.begin() ? " '" : " or '") + std::string(expected) + "'";
  fail(message + ". The innermost block that needs to be closed is '" + open_tags_.back() + "'.");
}

ast::Statement::Node StatementParser::parse_if() {
  ast::If result;
  std::string end;
  do {
    ExpressionPtr test = parse_tuple(InlineIf::kForbidden);
    Body body;
    end = parse_block({"elif", "else", "endif"}, body);
    result.branches.emplace_back(std::move(test), std::move(body));
  } while (end == "elif");
  if (end == "else") parse_block({"endif"}, result.otherwise);
  return result;
}

ast::Statement::Node StatementParser::parse_for() {
  ast::For result;
  result.target = parse_target(Targets::kNames);
  if (!take_name("in")) expect(TokenType::kText, "in");
  result.iterable = parse_tuple(InlineIf::kForbidden);
  if (take_name("if")) result.filter = parse_expression();
  result.is_recursive = take_name("recursive");
  ++open_loops_;
  const std::string end = parse_block({"endfor", "else"}, result.body);
  --open_loops_;
  if (end == "else") parse_block({"endfor"}, result.otherwise);
  return result;
}

ast::Statement::Node StatementParser::parse_set() {
  ast::Target target = parse_target(Targets::kNamesAndAttributes);
  if (take_operator("=")) return ast::Set{std::move(target), parse_tuple()};
  ast::SetBlock block;
  block.target = std::move(target);
  if (take_operator("|")) block.filter = parse_block_filter();
  parse_block({"endset"}, block.body);
  return block;
}

ast::Statement::Node StatementParser::parse_with() {
  ast::With result;
  while (current().type != TokenType::kStatementEnd) {
    if (!result.assignments.empty()) expect_operator(",");
    ast::Target target = parse_target(Targets::kNames);
    expect_operator("=");
    result.assignments.emplace_back(std::move(target), parse_expression());
  }
  parse_block({"endwith"}, result.body);
  return result;
}

void StatementParser::parse_parameters(ast::MacroBody& macro) {
  expect_operator("(");
  while (!current().is_operator(")")) {
    if (!macro.parameters.empty()) expect_operator(",");
    const std::string name = expect(TokenType::kName, "name").text;
    ExpressionPtr otherwise;
    if (take_operator("=")) {
      otherwise = parse_expression();
    } else if (!macro.parameters.empty() && macro.parameters.back().otherwise) {
      fail("non-default argument follows default argument");
    }
    macro.parameters.push_back({intern(name), name, std::move(otherwise)});
  }
  take();
}

void StatementParser::parse_macro_body(ast::MacroBody& macro, std::string_view end_tag) {
  open_macros_.push_back(&macro);
  const int outer_loops = std::exchange(open_loops_, 0);
  parse_block({end_tag}, macro.body);
  open_loops_ = outer_loops;
  open_macros_.pop_back();
}

ast::Statement::Node StatementParser::parse_macro() {
  ast::Macro result;
  result.macro.name = expect(TokenType::kName, "name").text;
  result.name = intern(result.macro.name);
  parse_parameters(result.macro);
  parse_macro_body(result.macro, "endmacro");
  return result;
}

ast::Statement::Node StatementParser::parse_call_block() {
  ast::CallBlock result;
  const int line = current().line;
  if (current().is_operator("(")) parse_parameters(result.caller);
  result.call = parse_expression();
  if (!std::holds_alternative<ast::CallExpression>(result.call->node)) fail("expected call", line);
  parse_macro_body(result.caller, "endcall");
  return result;
}

ast::Statement::Node StatementParser::parse_filter_block() {
  ast::FilterBlock result;
  result.filter = parse_block_filter();
  parse_block({"endfilter"}, result.body);
  return result;
}

ast::Statement::Node StatementParser::parse_named_block() {
  has_blocks_ = true;
  const std::string name = expect(TokenType::kName, "name").text;
  auto kind = ast::ScopedBody::Kind::kBlock;
  if (take_name("scoped")) kind = ast::ScopedBody::Kind::kInner;
  if (current().is_name("required")) fail("'required' is not supported: a chat template is a single file");
  const int outer_loops = std::exchange(open_loops_, 0);
  ast::Statement::Node result = parse_scoped(kind, "endblock");
  open_loops_ = outer_loops;
  take_name(name);
  return result;
}

ast::Statement::Node StatementParser::parse_autoescape() {
  const ExpressionPtr value = parse_expression();
  const auto* constant = std::get_if<ast::Constant>(&value->node);
  if (constant == nullptr || is_true(constant->value)) fail("'autoescape' is supported only with the value false");
  return parse_scoped(ast::ScopedBody::Kind::kInner, "endautoescape");
}

void StatementParser::parse_print_list(Body& body) {
  const std::size_t before = body.size();
  while (current().type != TokenType::kStatementEnd) {
    if (body.size() > before) expect_operator(",");
    const int line = current().line;
    body.push_back({ast::Print{parse_expression()}, line});
  }
}

ast::Statement::Node StatementParser::parse_scoped(ast::ScopedBody::Kind kind, std::string_view end_tag) {
  ast::ScopedBody result;
  result.kind = kind;
  parse_block({end_tag}, result.body);
  return result;
}

ast::Target StatementParser::parse_target(Targets targets) {
  ast::Target first = parse_single_target(targets);
  if (!current().is_operator(",")) return first;
  ast::Target tuple;
  tuple.is_tuple = true;
  tuple.targets.push_back(std::move(first));
  while (take_operator(",")) {
    if (current().type != TokenType::kName && !current().is_operator("(")) break;
    if (current().is_name("in")) break;
    tuple.targets.push_back(parse_single_target(targets));
  }
  return tuple;
}

ast::Target StatementParser::parse_single_target(Targets targets) {
  const Nesting nesting(*this);
  if (take_operator("(")) {
    ast::Target inside = parse_target(targets);
    expect_operator(")");
    return inside;
  }
  ast::Target target;
  if (current().type != TokenType::kName) fail("can't assign to '" + describe(current()) + "'");
  const std::string name = take().text;
  static constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(kConstants), std::end(kConstants), name) != std::end(kConstants))
    fail("can't assign to 'const'");
  target.name = intern(name);
  if (targets == Targets::kNamesAndAttributes && take_operator(".")) {
    target.attribute = expect(TokenType::kName, "name").text;
  } else if (target.name == ast::kLoopName && open_loops_ > 0) {
    fail("Can't assign to special loop variable in for-loop");
  }
  return target;
}

}  // namespace

std::unique_ptr<const ast::Template> parse(std::string_view source) {
  if (source.size() > kMaxSourceBytes) throw SyntaxFault("the template is larger than 512 KiB", 1);
  auto result = std::make_unique<ast::Template>();
  result->body = StatementParser(source, *result).parse_template();
  return result;
}

}  // namespace megalith::jinja
