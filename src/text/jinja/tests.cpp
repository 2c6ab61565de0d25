// The tests: value is name.
#include "text/jinja/code_points.h"
#include "text/jinja/operators.h"
#include "text/jinja/tables.h"

namespace megalith::jinja {
namespace {

using Operator = ast::Comparison::Operator;

template <typename Predicate>
Value answer(const Call& call, Predicate predicate) {
  return Value::boolean(predicate(call[0]));
}

template <Operator op>
Value compares(const Call& call) {
  return Value::boolean(apply_comparison(call.budget, op, call[0], call[1]));
}

template <Type... types>
Value has_type(const Call& call) {
  return Value::boolean((call[0].is(types) || ...));
}

std::int64_t remainder(const Call& call, std::int64_t divisor) {
  const Value result = apply_binary(call.budget, ast::Binary::Operator::kModulo, call[0], Value::integer(divisor));
  if (!result.is_number()) call.fail("needs a number");
  return result.is_integral() ? result.as_integer() : result.as_float() == 0.0 ? 0 : result.as_float() == 1.0 ? 1 : 2;
}

/// str.islower, str.isupper: at least one letter has a case, and all that have one have this one.
bool is_cased(const Call& call, bool (*wanted)(char32_t), bool (*other)(char32_t)) {
  const std::string text = to_text(call.budget, call[0]);
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = decode_code_point(text, at);
    if (other(c)) return false;
    any = any || wanted(c);
  }
  return any;
}

/// Python's `is`: the same object. Small values have no identity of their own here; equal ones count as the same.
bool is_same(const Call& call) {
  const Value& left = call[0];
  const Value& right = call[1];
  if (left.type() != right.type()) return false;
  if (left.identity() != nullptr && left.identity() == right.identity()) return true;
  switch (left.type()) {
    case Type::kNone:
      return true;
    case Type::kBoolean:
    case Type::kInteger:
    case Type::kString:
      return equal(call.budget, left, right);
    default:
      return false;
  }
}

bool is_callable(const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:  // Jinja2's Undefined has a __call__, if only to fail
    case Type::kFunction:
    case Type::kMacro:
    case Type::kLoop:
    case Type::kJoiner:
      return true;
    default:
      return false;
  }
}

bool names_a_row(const Call& call, std::span<const Builtin> table) {
  require_hashable(call.budget, call[0]);
  return call[0].is_string() && find_builtin(table, call[0].text()) != nullptr;
}

constexpr Builtin kTests[] = {
    {"odd", [](const Call& call) { return Value::boolean(remainder(call, 2) == 1); }, {"value"}},
    {"even", [](const Call& call) { return Value::boolean(remainder(call, 2) == 0); }, {"value"}},
    {"divisibleby",
     [](const Call& call) { return Value::boolean(remainder(call, call.integer(1)) == 0); },
     {"value", "num"},
     2},
    {"defined",
     [](const Call& call) { return answer(call, [](const Value& v) { return !v.is_undefined(); }); },
     {"value"}},
    {"undefined", has_type<Type::kUndefined>, {"value"}},
    {"filter", [](const Call& call) { return Value::boolean(names_a_row(call, filters())); }, {"value"}},
    {"test", [](const Call& call) { return Value::boolean(names_a_row(call, tests())); }, {"value"}},
    {"none", has_type<Type::kNone>, {"value"}},
    {"boolean", has_type<Type::kBoolean>, {"value"}},
    {"false",
     [](const Call& call) { return answer(call, [](const Value& v) { return v.is(Type::kBoolean) && !is_true(v); }); },
     {"value"}},
    {"true",
     [](const Call& call) { return answer(call, [](const Value& v) { return v.is(Type::kBoolean) && is_true(v); }); },
     {"value"}},
    {"integer", has_type<Type::kInteger, Type::kBigInteger>, {"value"}},
    {"float", has_type<Type::kFloat>, {"value"}},
    {"lower", [](const Call& call) { return Value::boolean(is_cased(call, is_lower, is_upper)); }, {"value"}},
    {"upper", [](const Call& call) { return Value::boolean(is_cased(call, is_upper, is_lower)); }, {"value"}},
    {"string", has_type<Type::kString>, {"value"}},
    {"mapping", has_type<Type::kDict>, {"value"}},
    {"number", has_type<Type::kInteger, Type::kBigInteger, Type::kFloat, Type::kBoolean>, {"value"}},
    {"sequence",
     has_type<Type::kString, Type::kList, Type::kTuple, Type::kDict, Type::kRange, Type::kUndefined>,
     {"value"}},
    {"iterable", [](const Call& call) { return answer(call, is_iterable); }, {"value"}},
    {"callable", [](const Call& call) { return answer(call, is_callable); }, {"value"}},
    {"sameas", [](const Call& call) { return Value::boolean(is_same(call)); }, {"value", "other"}, 2},
    {"escaped", [](const Call& call) { return Value::boolean(call[0].is_markup()); }, {"value"}},
    {"in",
     [](const Call& call) { return Value::boolean(contains(call.budget, call[1], call[0])); },
     {"value", "seq"},
     2},
    {"==", compares<Operator::kEqual>, {"a", "b"}, 2},
    {"eq", compares<Operator::kEqual>, {"a", "b"}, 2},
    {"equalto", compares<Operator::kEqual>, {"a", "b"}, 2},
    {"!=", compares<Operator::kNotEqual>, {"a", "b"}, 2},
    {"ne", compares<Operator::kNotEqual>, {"a", "b"}, 2},
    {">", compares<Operator::kGreater>, {"a", "b"}, 2},
    {"gt", compares<Operator::kGreater>, {"a", "b"}, 2},
    {"greaterthan", compares<Operator::kGreater>, {"a", "b"}, 2},
    {">=", compares<Operator::kGreaterEqual>, {"a", "b"}, 2},
    {"ge", compares<Operator::kGreaterEqual>, {"a", "b"}, 2},
    {"<", compares<Operator::kLess>, {"a", "b"}, 2},
    {"lt", compares<Operator::kLess>, {"a", "b"}, 2},
    {"lessthan", compares<Operator::kLess>, {"a", "b"}, 2},
    {"<=", compares<Operator::kLessEqual>, {"a", "b"}, 2},
    {"le", compares<Operator::kLessEqual>, {"a", "b"}, 2},
};

}  // namespace

std::span<const Builtin> tests() { return kTests; }

}  // namespace megalith::jinja
