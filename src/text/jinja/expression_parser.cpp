#include "text/jinja/expression_parser.h"

#include <algorithm>

#include "text/jinja/parser.h"
#include "text/jinja/tables.h"

namespace megalith::jinja {

using ast::ExpressionPtr;

namespace {

int height_of(const ExpressionPtr& expression) { return expression ? expression->height : 0; }

int height_of(const std::vector<ExpressionPtr>& expressions) {
  int height = 0;
  for (const ExpressionPtr& expression : expressions) height = std::max(height, height_of(expression));
  return height;
}

int height_of(const ast::CallArguments& arguments) {
  int height = std::max(height_of(arguments.unpacked_list), height_of(arguments.unpacked_dict));
  for (const auto& [name, value] : arguments.named) height = std::max(height, height_of(value));
  return std::max(height, height_of(arguments.positional));
}

}  // namespace

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (parser.nesting_ >= kMaxNesting) parser.fail("the template is nested too deeply");
  ++parser.nesting_;
}

ExpressionParser::ExpressionParser(std::string_view source, ast::Template& into) : template_(into), lexer_(source) {
  for (const char* special : {"loop", "caller", "varargs", "kwargs"}) intern(special);  // in the order of SpecialName
  current_ = lexer_.next();
}

// ---- tokens and nodes

const Token& ExpressionParser::peek() {
  if (!peeked_) peeked_ = lexer_.next();
  return *peeked_;
}

Token ExpressionParser::take() {
  Token token = std::move(current_);
  current_ = peeked_ ? std::move(*peeked_) : lexer_.next();
  peeked_.reset();
  return token;
}

bool ExpressionParser::take_name(std::string_view name) {
  if (!current_.is_name(name)) return false;
  take();
  return true;
}

bool ExpressionParser::take_operator(std::string_view symbol) {
  if (!current_.is_operator(symbol)) return false;
  take();
  return true;
}

void ExpressionParser::expect_operator(std::string_view symbol) {
  if (!current_.is_operator(symbol)) expect(TokenType::kText, symbol);  // an operator is never text: this fails
  take();
}

Token ExpressionParser::expect(TokenType type, std::string_view what) {
  if (current_.type == type) return take();
  if (current_.type == TokenType::kEnd) fail("unexpected end of template, expected '" + std::string(what) + "'.");
  fail("expected token '" + std::string(what) + "', got '" + describe(current_) + "'");
}

void ExpressionParser::fail(const std::string& message) const { fail(message, current_.line); }
void ExpressionParser::fail(const std::string& message, int line) const { throw SyntaxFault(message, line); }

ast::NameId ExpressionParser::intern(const std::string& name) {
  const auto [entry, is_new] = name_ids_.try_emplace(name, static_cast<ast::NameId>(template_.names.size()));
  if (is_new) template_.names.push_back(name);
  return entry->second;
}

void ExpressionParser::note_special(ast::NameId id) {
  for (ast::MacroBody* macro : open_macros_) {
    macro->uses_caller = macro->uses_caller || id == ast::kCallerName;
    macro->uses_varargs = macro->uses_varargs || id == ast::kVarargsName;
    macro->uses_kwargs = macro->uses_kwargs || id == ast::kKwargsName;
  }
}

ExpressionPtr ExpressionParser::make(int line, ast::Expression::Node node, Children children) {
  int height = 0;
  for (const ast::Expression* child : children) height = std::max(height, child ? child->height : 0);
  return make(line, std::move(node), height);
}

ExpressionPtr ExpressionParser::make(int line, ast::Expression::Node node, int height_below) {
  // A chain like a.b.c.d grows without recursion here, but will be walked by recursion.
  if (height_below >= 2 * kMaxNesting) fail("an expression is nested too deeply", line);
  return std::make_unique<ast::Expression>(ast::Expression{std::move(node), line, height_below + 1});
}

ExpressionPtr ExpressionParser::constant(int line, Value value) { return make(line, ast::Constant{std::move(value)}); }

// ---- precedence

ExpressionPtr ExpressionParser::parse_expression(InlineIf inline_if) {
  const Nesting nesting(*this);
  return inline_if == InlineIf::kAllowed ? parse_conditional() : parse_or();
}

bool ExpressionParser::ends_tuple() const {
  return current_.type == TokenType::kPrintEnd || current_.type == TokenType::kStatementEnd ||
         current_.is_operator(")");
}

ExpressionPtr ExpressionParser::parse_tuple(InlineIf inline_if) {
  const int line = current_.line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (items.empty() || take_operator(",")) {
    if (!items.empty()) is_tuple = true;
    if (ends_tuple() || (is_tuple && current_.is_name("recursive"))) break;
    items.push_back(parse_expression(inline_if));
  }
  if (items.empty()) fail("Expected an expression, got '" + describe(current_) + "'");
  if (!is_tuple) return std::move(items.front());
  const int height = height_of(items);
  return make(line, ast::TupleLiteral{std::move(items)}, height);
}

ExpressionPtr ExpressionParser::parse_conditional() {
  int line = current_.line;
  ExpressionPtr result = parse_or();
  while (take_name("if")) {
    ExpressionPtr test = parse_or();
    ExpressionPtr otherwise;
    if (take_name("else")) {
      const Nesting nesting(*this);
      otherwise = parse_conditional();
    }
    const Children children = {result.get(), test.get(), otherwise.get()};
    result = make(line, ast::Conditional{std::move(test), std::move(result), std::move(otherwise)}, children);
    line = current_.line;
  }
  return result;
}

ExpressionPtr ExpressionParser::parse_or() {
  const int line = current_.line;
  ExpressionPtr left = parse_and();
  while (take_name("or")) {
    ExpressionPtr right = parse_and();
    const Children children = {left.get(), right.get()};
    left = make(line, ast::Logical{ast::Logical::Operator::kOr, std::move(left), std::move(right)}, children);
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  const int line = current_.line;
  ExpressionPtr left = parse_not();
  while (take_name("and")) {
    ExpressionPtr right = parse_not();
    const Children children = {left.get(), right.get()};
    left = make(line, ast::Logical{ast::Logical::Operator::kAnd, std::move(left), std::move(right)}, children);
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  const int line = current_.line;
  if (!take_name("not")) return parse_comparison();
  const Nesting nesting(*this);
  ExpressionPtr operand = parse_not();
  const Children children = {operand.get()};
  return make(line, ast::Unary{ast::Unary::Operator::kNot, std::move(operand)}, children);
}

std::optional<ast::Comparison::Operator> ExpressionParser::take_comparison() {
  using Operator = ast::Comparison::Operator;
  static constexpr std::pair<std::string_view, Operator> kSymbols[] = {
      {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
      {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual}};
  for (const auto& [symbol, op] : kSymbols) {
    if (take_operator(symbol)) return op;
  }
  if (take_name("in")) return Operator::kIn;
  if (current_.is_name("not") && peek().is_name("in")) {
    take();
    take();
    return Operator::kNotIn;
  }
  return std::nullopt;
}

ExpressionPtr ExpressionParser::parse_comparison() {
  const int line = current_.line;
  ExpressionPtr first = parse_sum();
  ast::Comparison comparison;
  int height = height_of(first);
  while (const auto op = take_comparison()) {
    comparison.rest.emplace_back(*op, parse_sum());
    height = std::max(height, height_of(comparison.rest.back().second));
  }
  if (comparison.rest.empty()) return first;
  comparison.first = std::move(first);
  return make(line, std::move(comparison), height);
}

ExpressionPtr ExpressionParser::parse_sum() {
  using Operator = ast::Binary::Operator;
  const int line = current_.line;
  ExpressionPtr left = parse_concatenation();
  while (current_.is_operator("+") || current_.is_operator("-")) {
    const Operator op = take().text == "+" ? Operator::kAdd : Operator::kSubtract;
    ExpressionPtr right = parse_concatenation();
    const Children children = {left.get(), right.get()};
    left = make(line, ast::Binary{op, std::move(left), std::move(right)}, children);
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_concatenation() {
  const int line = current_.line;
  std::vector<ExpressionPtr> parts;
  do {
    parts.push_back(parse_product());
  } while (take_operator("~"));
  if (parts.size() == 1) return std::move(parts.front());
  const int height = height_of(parts);
  return make(line, ast::Concatenation{std::move(parts)}, height);
}

ExpressionPtr ExpressionParser::parse_product() {
  using Operator = ast::Binary::Operator;
  static constexpr std::pair<std::string_view, Operator> kSymbols[] = {
      {"*", Operator::kMultiply}, {"/", Operator::kDivide}, {"//", Operator::kFloorDivide}, {"%", Operator::kModulo}};
  const int line = current_.line;
  ExpressionPtr left = parse_power();
  while (true) {
    const auto* found = std::find_if(std::begin(kSymbols), std::end(kSymbols),
                                     [&](auto& row) { return current_.is_operator(row.first); });
    if (found == std::end(kSymbols)) return left;
    take();
    ExpressionPtr right = parse_power();
    const Children children = {left.get(), right.get()};
    left = make(line, ast::Binary{found->second, std::move(left), std::move(right)}, children);
  }
}

ExpressionPtr ExpressionParser::parse_power() {
  const int line = current_.line;
  ExpressionPtr left = parse_unary();
  while (take_operator("**")) {  // Jinja2 groups to the left, unlike Python
    ExpressionPtr right = parse_unary();
    const Children children = {left.get(), right.get()};
    left = make(line, ast::Binary{ast::Binary::Operator::kPower, std::move(left), std::move(right)}, children);
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_unary(Filters filters) {
  const Nesting nesting(*this);
  const int line = current_.line;
  ExpressionPtr result;
  if (current_.is_operator("-") || current_.is_operator("+")) {
    const auto op = take().text == "-" ? ast::Unary::Operator::kMinus : ast::Unary::Operator::kPlus;
    ExpressionPtr operand = parse_unary(Filters::kForbidden);
    const Children children = {operand.get()};
    result = make(line, ast::Unary{op, std::move(operand)}, children);
  } else {
    result = parse_primary();
  }
  result = parse_postfix(std::move(result));
  return filters == Filters::kAllowed ? parse_filters_and_tests(std::move(result)) : std::move(result);
}

// ---- operands

ExpressionPtr ExpressionParser::parse_primary() {
  const int line = current_.line;
  switch (current_.type) {
    case TokenType::kName:
      return parse_name();
    case TokenType::kInteger:
      return constant(line, Value::integer(template_.budget, take().integer));
    case TokenType::kFloat:
      return constant(line, Value::number(take().number));
    case TokenType::kString: {
      std::string text = take().text;
      while (current_.type == TokenType::kString) text += take().text;
      return constant(line, Value::string(template_.budget, std::move(text)));
    }
    default:
      break;
  }
  if (current_.is_operator("(")) return parse_parentheses();
  if (current_.is_operator("[")) return parse_list();
  if (current_.is_operator("{")) return parse_dict();
  fail("unexpected '" + describe(current_) + "'");
}

ExpressionPtr ExpressionParser::parse_name() {
  const Token token = take();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return constant(token.line, Value::boolean(true));
  if (name == "false" || name == "False") return constant(token.line, Value::boolean(false));
  if (name == "none" || name == "None") return constant(token.line, Value::none());
  const ast::NameId id = intern(name);
  note_special(id);
  return make(token.line, ast::Name{id});
}

ExpressionPtr ExpressionParser::parse_parentheses() {
  const int line = take().line;
  if (take_operator(")")) return make(line, ast::TupleLiteral{});
  ExpressionPtr inside = parse_tuple();
  expect_operator(")");
  return inside;
}

ExpressionPtr ExpressionParser::parse_list() {
  const int line = take().line;
  std::vector<ExpressionPtr> items;
  while (!current_.is_operator("]")) {
    if (!items.empty()) expect_operator(",");
    if (current_.is_operator("]")) break;
    items.push_back(parse_expression());
  }
  take();
  const int height = height_of(items);
  return make(line, ast::ListLiteral{std::move(items)}, height);
}

ExpressionPtr ExpressionParser::parse_dict() {
  const int line = take().line;
  ast::DictLiteral dict;
  int height = 0;
  while (!current_.is_operator("}")) {
    if (!dict.entries.empty()) expect_operator(",");
    if (current_.is_operator("}")) break;
    ExpressionPtr key = parse_expression();
    expect_operator(":");
    ExpressionPtr value = parse_expression();
    height = std::max({height, height_of(key), height_of(value)});
    dict.entries.emplace_back(std::move(key), std::move(value));
  }
  take();
  return make(line, std::move(dict), height);
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr object) {
  while (true) {
    if (current_.is_operator(".")) {
      object = parse_attribute(std::move(object));
    } else if (current_.is_operator("[")) {
      object = parse_subscript(std::move(object));
    } else if (current_.is_operator("(")) {
      object = parse_call(std::move(object));
    } else {
      return object;
    }
  }
}

ExpressionPtr ExpressionParser::parse_attribute(ExpressionPtr object) {
  const int line = take().line;
  const Children children = {object.get()};
  if (current_.type == TokenType::kName) {
    Value name = Value::string(template_.budget, take().text);
    return make(line, ast::Attribute{std::move(object), std::move(name)}, children);
  }
  if (current_.type != TokenType::kInteger) fail("expected name or number");
  ExpressionPtr key = constant(line, Value::integer(template_.budget, take().integer));
  return make(line, ast::Subscript{std::move(object), std::move(key)}, children);
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr object) {
  const int line = take().line;
  ast::Slice slice;
  bool is_slice = false;
  const auto ends = [this] { return current_.is_operator("]") || current_.is_operator(":"); };
  if (current_.is_operator("]")) fail("expected subscript expression");
  if (!ends()) slice.start = parse_expression();
  if (take_operator(":")) {
    is_slice = true;
    if (!ends()) slice.stop = parse_expression();
    if (take_operator(":") && !ends()) slice.step = parse_expression();
  }
  if (!is_slice && current_.is_operator(",")) {  // object[a, b]: the key is a tuple
    std::vector<ExpressionPtr> keys;
    keys.push_back(std::move(slice.start));
    while (take_operator(",")) keys.push_back(parse_expression());
    const int height = height_of(keys);
    slice.start = make(line, ast::TupleLiteral{std::move(keys)}, height);
  }
  if (!current_.is_operator("]")) expect_operator("]");
  take();
  if (is_slice) {
    const Children children = {object.get(), slice.start.get(), slice.stop.get(), slice.step.get()};
    slice.object = std::move(object);
    return make(line, std::move(slice), children);
  }
  const Children children = {object.get(), slice.start.get()};
  return make(line, ast::Subscript{std::move(object), std::move(slice.start)}, children);
}

ExpressionPtr ExpressionParser::parse_call(ExpressionPtr callee) {
  const int line = current_.line;
  ast::CallArguments arguments = parse_arguments();
  const int height = std::max(height_of(callee), height_of(arguments));
  return make(line, ast::CallExpression{std::move(callee), std::move(arguments)}, height);
}

ast::CallArguments ExpressionParser::parse_arguments() {
  const int line = take().line;
  ast::CallArguments arguments;
  const auto require = [&](bool valid) {
    if (!valid) fail("invalid syntax for function call expression", line);
  };
  bool is_first = true;
  while (!current_.is_operator(")")) {
    if (!is_first) expect_operator(",");
    is_first = false;
    if (current_.is_operator(")")) break;
    if (take_operator("*")) {
      require(!arguments.unpacked_list && !arguments.unpacked_dict);
      arguments.unpacked_list = parse_expression();
    } else if (take_operator("**")) {
      require(!arguments.unpacked_dict);
      arguments.unpacked_dict = parse_expression();
    } else if (current_.type == TokenType::kName && peek().is_operator("=")) {
      require(!arguments.unpacked_dict);
      std::string name = take().text;
      take();
      arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
      require(!arguments.unpacked_list && !arguments.unpacked_dict && arguments.named.empty());
      arguments.positional.push_back(parse_expression());
    }
  }
  take();
  return arguments;
}

// ---- filters and tests

ExpressionPtr ExpressionParser::parse_filters_and_tests(ExpressionPtr value) {
  while (true) {
    if (take_operator("|")) {
      value = parse_filter(std::move(value));
    } else if (current_.is_name("is")) {
      value = parse_test(std::move(value));
    } else if (current_.is_operator("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::parse_block_filter() {
  ExpressionPtr filter = parse_filter(nullptr);
  while (take_operator("|")) filter = parse_filter(std::move(filter));
  return filter;
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = expect(TokenType::kName, "name").text;
  while (take_operator(".")) name.append(1, '.').append(expect(TokenType::kName, "name").text);
  return name;
}

ExpressionPtr ExpressionParser::parse_filter(ExpressionPtr value) {
  const int line = current_.line;
  std::string name = parse_dotted_name();
  ast::CallArguments arguments;
  if (current_.is_operator("(")) arguments = parse_arguments();
  const int height = std::max(height_of(value), height_of(arguments));
  const Builtin* filter = find_builtin(filters(), name);
  return make(line, ast::FilterExpression{std::move(value), std::move(name), filter, std::move(arguments)}, height);
}

bool ExpressionParser::starts_test_argument() {
  switch (current_.type) {
    case TokenType::kName:
      if (current_.is_name("is")) fail("You cannot chain multiple tests with is");
      return !current_.is_name("else") && !current_.is_name("or") && !current_.is_name("and");
    case TokenType::kString:
    case TokenType::kInteger:
    case TokenType::kFloat:
      return true;
    default:
      return current_.is_operator("[") || current_.is_operator("{");
  }
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr value) {
  const int line = take().line;
  const bool negated = take_name("not");
  std::string name = parse_dotted_name();
  ast::CallArguments arguments;
  if (current_.is_operator("(")) {
    arguments = parse_arguments();
  } else if (starts_test_argument()) {
    arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  const int height = std::max(height_of(value), height_of(arguments));
  const Builtin* test = find_builtin(tests(), name);
  ExpressionPtr result =
      make(line, ast::TestExpression{std::move(value), std::move(name), test, std::move(arguments)}, height);
  if (!negated) return result;
  const Children children = {result.get()};
  return make(line, ast::Unary{ast::Unary::Operator::kNot, std::move(result)}, children);
}

}  // namespace megalith::jinja
