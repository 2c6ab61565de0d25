#pragma once
// The tree of a parsed template. Names are numbers into Template::names; filters and tests are already looked up.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/value.h"

namespace megalith::jinja::ast {

using NameId = std::uint32_t;

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;
using Body = std::vector<Statement>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr unpacked_list;  // *expression, may be null
  ExpressionPtr unpacked_dict;  // **expression, may be null
};

// ---- expressions

struct Constant {
  Value value;
};
struct Name {
  NameId id;
};
struct ListLiteral {
  std::vector<ExpressionPtr> items;
};
struct TupleLiteral {
  std::vector<ExpressionPtr> items;
};
struct DictLiteral {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Attribute {  // object.name
  ExpressionPtr object;
  Value name;
};
struct Subscript {  // object[key]
  ExpressionPtr object, key;
};
struct Slice {  // object[start:stop:step], each of the three may be null
  ExpressionPtr object, start, stop, step;
};
struct CallExpression {
  ExpressionPtr callee;
  CallArguments arguments;
};
struct FilterExpression {  // value|name(arguments)
  ExpressionPtr value;     // null: the body of a filter block or of a set block
  std::string name;
  const Builtin* filter;  // null if there is none of that name: a fault only if it is reached
  CallArguments arguments;
};
struct TestExpression {  // value is name(arguments)
  ExpressionPtr value;
  std::string name;
  const Builtin* test;  // as for filters
  CallArguments arguments;
};
struct Unary {
  enum class Operator { kNot, kMinus, kPlus };
  Operator op;
  ExpressionPtr operand;
};
struct Binary {
  enum class Operator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
  Operator op;
  ExpressionPtr left, right;
};
struct Logical {  // gives one of its operands, as Python does
  enum class Operator { kAnd, kOr };
  Operator op;
  ExpressionPtr left, right;
};
struct Comparison {  // first op1 second op2 third ...: each neighbouring pair must hold
  enum class Operator { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
  ExpressionPtr first;
  std::vector<std::pair<Operator, ExpressionPtr>> rest;
};
struct Concatenation {  // a ~ b ~ c
  std::vector<ExpressionPtr> parts;
};
struct Conditional {  // then if test else otherwise; `otherwise` may be null
  ExpressionPtr test, then, otherwise;
};

struct Expression {
  using Node =
      std::variant<Constant, Name, ListLiteral, TupleLiteral, DictLiteral, Attribute, Subscript, Slice, CallExpression,
                   FilterExpression, TestExpression, Unary, Binary, Logical, Comparison, Concatenation, Conditional>;
  Node node;
  int line;
  int height;  // of the tree below, so that walking it by recursion is safe
};

// ---- statements

/// What an assignment writes to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  NameId name = 0;
  std::string attribute;        // of the namespace `name`, if not empty
  std::vector<Target> targets;  // a tuple, if is_tuple
  bool is_tuple = false;
};

struct Text {
  std::string text;
};
struct Print {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExpressionPtr iterable, filter;  // filter may be null
  bool is_recursive;
  Body body, otherwise;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {
  Target target;
  ExpressionPtr filter;  // may be null
  Body body;
};
struct FilterBlock {
  ExpressionPtr filter;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  Body body;
};
/// {% generation %}, {% autoescape false %} and {% block %}: a body with a scope of its own.
struct ScopedBody {
  enum class Kind { kInner, kBlock };  // a block sees the variables of the top level only
  Kind kind;
  Body body;
};
struct MacroBody {
  struct Parameter {
    NameId id;
    std::string name;
    ExpressionPtr otherwise;  // may be null
  };
  std::string name;  // empty: the body of a call block
  std::vector<Parameter> parameters;
  Body body;
  // Which of the special names the body mentions; the others may not be passed.
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};
struct Macro {
  NameId name;
  MacroBody macro;
};
struct CallBlock {
  ExpressionPtr call;  // a CallExpression
  MacroBody caller;
};
struct Break {};
struct Continue {};

struct Statement {
  using Node = std::variant<Text, Print, If, For, Set, SetBlock, FilterBlock, With, ScopedBody, Macro, CallBlock, Break,
                            Continue>;
  Node node;
  int line;
};

/// The names that the renderer itself gives a meaning to; they have these ids in every template.
enum SpecialName : NameId { kLoopName, kCallerName, kVarargsName, kKwargsName, kSpecialNameCount };

struct Template {
  Budget budget;  // the constants' own, without limits; declared first so that it outlives them
  std::vector<std::string> names;
  Body body;
};

}  // namespace megalith::jinja::ast
