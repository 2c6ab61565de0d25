#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/code_points.h"
#include "text/jinja/format.h"
#include "text/jinja/loop.h"
#include "text/jinja/number_text.h"
#include "text/jinja/strings.h"
#include "text/jinja/tables.h"

namespace megalith::jinja {
namespace {

using BinaryOperator = ast::Binary::Operator;

std::string_view symbol_of(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      return "** or pow()";
  }
  return "";
}

[[noreturn]] void fail_operands(BinaryOperator op, const Value& left, const Value& right) {
  const std::string left_type(type_name(left)), right_type(type_name(right));
  if (op == BinaryOperator::kAdd && (left.is_string() || left.is_sequence())) {
    throw Fault("can only concatenate " + left_type + " (not \"" + right_type + "\") to " + left_type);
  }
  throw Fault("unsupported operand type(s) for " + std::string(symbol_of(op)) + ": '" + left_type + "' and '" +
              right_type + "'");
}

double require_finite(double value) {
  if (std::isinf(value)) throw Fault("int too large to convert to float");
  return value;
}

Value big_arithmetic(Budget& budget, BinaryOperator op, const BigInteger& left, const BigInteger& right) {
  budget.spend(1 + left.limb_count() * right.limb_count() / 2);
  switch (op) {
    case BinaryOperator::kAdd:
      return Value::integer(budget, left + right);
    case BinaryOperator::kSubtract:
      return Value::integer(budget, left - right);
    case BinaryOperator::kMultiply:
      return Value::integer(budget, left * right);
    case BinaryOperator::kDivide:
      if (right.is_zero()) throw Fault("division by zero");
      budget.spend((left.limb_count() + 8) * (right.limb_count() + 8) * 8);
      return Value::number(require_finite(BigInteger::divide_exactly(left, right)));
    case BinaryOperator::kFloorDivide:
    case BinaryOperator::kModulo: {
      if (right.is_zero()) throw Fault("integer division or modulo by zero");
      budget.spend(left.limb_count() * (right.limb_count() + 2) * 16);
      auto [quotient, remainder] = BigInteger::divide_floor(left, right);
      return Value::integer(budget, op == BinaryOperator::kModulo ? std::move(remainder) : std::move(quotient));
    }
    case BinaryOperator::kPower: {
      const std::optional<std::int64_t> exponent = right.small();
      if (right.is_negative()) {
        if (left.is_zero()) throw Fault("0.0 cannot be raised to a negative power");
        return Value::number(std::pow(require_finite(left.to_double()), require_finite(right.to_double())));
      }
      constexpr std::int64_t kMostBits = 14285;  // of 4300 digits; a larger exponent suits only -1, 0 and 1
      const std::optional<std::int64_t> base = left.small();
      const bool stays_small = base && *base >= -1 && *base <= 1;
      if (!exponent || (*exponent > kMostBits && !stays_small))
        throw Fault("an integer of more than 4300 digits is not supported");
      constexpr std::uint64_t kDearestPower = 8 * 480 * 480 / 8;  // squarings of the longest numbers
      budget.spend(stays_small || (base && *exponent < 64) ? 64 : kDearestPower);
      return Value::integer(budget, BigInteger::power(left, static_cast<std::uint64_t>(*exponent)));
    }
  }
  return Value();
}

bool is_exact_as_float(std::int64_t value) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  return value >= -kMost && value <= kMost;
}

Value integer_arithmetic(Budget& budget, BinaryOperator op, std::int64_t left, std::int64_t right) {
  std::int64_t result = 0;
  const auto in_full = [&] { return big_arithmetic(budget, op, BigInteger(left), BigInteger(right)); };
  switch (op) {
    case BinaryOperator::kAdd:
      return __builtin_add_overflow(left, right, &result) ? in_full() : Value::integer(result);
    case BinaryOperator::kSubtract:
      return __builtin_sub_overflow(left, right, &result) ? in_full() : Value::integer(result);
    case BinaryOperator::kMultiply:
      return __builtin_mul_overflow(left, right, &result) ? in_full() : Value::integer(result);
    case BinaryOperator::kDivide:
      if (!is_exact_as_float(left) || !is_exact_as_float(right)) return in_full();
      if (right == 0) throw Fault("division by zero");
      return Value::number(static_cast<double>(left) / static_cast<double>(right));
    case BinaryOperator::kFloorDivide:
    case BinaryOperator::kModulo: {
      if (right == 0) throw Fault("integer division or modulo by zero");
      if (right == -1) {  // the one quotient that may not fit, and a trap in hardware
        if (op == BinaryOperator::kModulo) return Value::integer(0);
        return integer_arithmetic(budget, BinaryOperator::kSubtract, 0, left);
      }
      const std::int64_t remainder = left % right;
      const bool rounds_down = remainder != 0 && (remainder < 0) != (right < 0);
      if (op == BinaryOperator::kModulo) return Value::integer(rounds_down ? remainder + right : remainder);
      return Value::integer(left / right - (rounds_down ? 1 : 0));
    }
    case BinaryOperator::kPower:
      return in_full();
  }
  return Value();
}

Value float_arithmetic(BinaryOperator op, double left, double right) {
  switch (op) {
    case BinaryOperator::kAdd:
      return Value::number(left + right);
    case BinaryOperator::kSubtract:
      return Value::number(left - right);
    case BinaryOperator::kMultiply:
      return Value::number(left * right);
    case BinaryOperator::kDivide:
      if (right == 0) throw Fault("float division by zero");
      return Value::number(left / right);
    case BinaryOperator::kFloorDivide:
    case BinaryOperator::kModulo: {
      if (right == 0) throw Fault(op == BinaryOperator::kModulo ? "float modulo" : "float floor division by zero");
      double remainder = std::fmod(left, right);
      double quotient = (left - remainder) / right;
      if (remainder != 0 && (remainder < 0) != (right < 0)) {
        remainder += right;
        quotient -= 1;
      } else if (remainder == 0) {
        remainder = std::copysign(0.0, right);
      }
      if (op == BinaryOperator::kModulo) return Value::number(remainder);
      double whole = std::floor(quotient);
      if (quotient - whole > 0.5) whole += 1;
      return Value::number(quotient == 0 ? std::copysign(0.0, left / right) : whole);
    }
    case BinaryOperator::kPower: {
      if (left == 0 && right < 0) throw Fault("0.0 cannot be raised to a negative power");
      if (left < 0 && std::isfinite(right) && right != std::floor(right))
        throw Fault("complex numbers are not supported");
      const double result = std::pow(left, right);
      if (std::isinf(result) && std::isfinite(left) && std::isfinite(right))
        throw Fault("Numerical result out of range");
      return Value::number(result);
    }
  }
  return Value();
}

/// A text made of `origin` by a method of Python's that keeps its type.
Value string_like(Budget& budget, const Value& origin, std::string text) {
  return origin.is_markup() ? Value::markup(budget, std::move(text)) : Value::string(budget, std::move(text));
}

Value concatenate(Budget& budget, const Value& left, const Value& right) {
  if (left.is_markup() || right.is_markup()) {
    TextBuffer text(budget);
    text.append(to_escaped_text(budget, left));
    text.append(to_escaped_text(budget, right));
    return Value::markup(budget, text.take());
  }
  if (left.is_string()) {
    const std::size_t size = left.text().size() + right.text().size();
    budget.spend_bytes(size);
    std::string text;
    text.reserve(size);
    text += left.text();
    text += right.text();
    return Value::string(budget, std::move(text));
  }
  std::vector<Value> items;
  items.reserve(left.items().size() + right.items().size());
  items.insert(items.end(), left.items().begin(), left.items().end());
  items.insert(items.end(), right.items().begin(), right.items().end());
  return left.is(Type::kList) ? Value::list(budget, std::move(items)) : Value::tuple(budget, std::move(items));
}

Value repeat_value(Budget& budget, const Value& value, std::int64_t count) {
  if (value.is_string()) return string_like(budget, value, repeat(budget, value.text(), count));
  std::vector<Value> items;
  if (count > 0 && !value.items().empty()) {
    const auto times = static_cast<std::size_t>(count);
    if (times > SIZE_MAX / sizeof(Value) / value.items().size())
      throw Fault("the template needs too much memory to render");
    const std::size_t bytes = times * value.items().size() * sizeof(Value);
    budget.require(bytes);
    budget.spend_bytes(bytes);
    items.reserve(times * value.items().size());
    for (std::size_t i = 0; i < times; ++i) items.insert(items.end(), value.items().begin(), value.items().end());
  }
  return value.is(Type::kList) ? Value::list(budget, std::move(items)) : Value::tuple(budget, std::move(items));
}

bool can_repeat(const Value& value, const Value& count) {
  return (value.is_string() || value.is_sequence()) && count.is_integral();
}

/// Names that exist on Python's objects but would let a template change them, or reach behind them.
bool is_unsafe(const Value& object, std::string_view name) {
  static constexpr std::string_view kList[] = {"append", "clear", "pop",    "reverse",
                                               "insert", "sort",  "extend", "remove"};
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  const auto in = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (name.starts_with("__") && name.ends_with("__") && name.size() > 4) return true;
  return (object.is(Type::kList) && in(kList)) || (object.is(Type::kDict) && in(kDict));
}

/// Methods of Python's str that are not here: they give bytes or need tables of their own.
bool is_other_method(std::string_view name) {
  static constexpr std::string_view kOthers[] = {"casefold", "encode", "isidentifier", "maketrans", "translate"};
  return std::find(std::begin(kOthers), std::end(kOthers), name) != std::end(kOthers);
}

Value unsafe(Budget& budget, const Value& object, std::string_view name) {
  return Value::undefined(budget, "access to attribute '" + std::string(name) + "' of '" +
                                      std::string(type_name(object)) + "' object is unsafe.");
}

/// What Python finds on the object itself: a method or a property.
std::optional<Value> find_own_attribute(Budget& budget, const Value& object, std::string_view name) {
  if (const Builtin* method = find_builtin(methods_of(object), name)) return Value::method(budget, *method, object);
  if (is_unsafe(object, name)) return unsafe(budget, object, name);
  if (object.is_string() && is_other_method(name)) {
    return Value::undefined(budget, "the method '" + std::string(name) + "' of str is not supported");
  }
  switch (object.type()) {
    case Type::kLoop:
      return object.as<LoopObject>().attribute(budget, name);
    case Type::kNamespace: {
      const Value* found = find_entry(budget, object.as<NamespaceObject>().attributes, name);
      return found ? std::optional(*found) : std::nullopt;
    }
    case Type::kCycler: {
      const auto& cycler = object.as<CyclerObject>();
      return name == "current" ? std::optional(cycler.items[cycler.position]) : std::nullopt;
    }
    case Type::kRange: {
      const auto& range = object.as<RangeObject>();
      if (name == "start") return Value::integer(range.start);
      if (name == "stop") return Value::integer(range.stop);
      if (name == "step") return Value::integer(range.step);
      return std::nullopt;
    }
    case Type::kMacro:
      return name == "name" ? std::optional(Value::string(budget, object.as<MacroObject>().body.name)) : std::nullopt;
    default:
      return std::nullopt;
  }
}

Value character_at(Budget& budget, const StringObject& string, std::size_t index) {
  if (string.is_single_bytes()) return Value::string(budget, string.text.substr(index, 1));
  budget.spend_bytes(string.text.size());
  const std::size_t start = byte_offset(string.text, index);
  std::size_t end = start;
  decode_code_point(string.text, end);
  return Value::string(budget, string.text.substr(start, end - start));
}

/// Element number `index` of a string, list, tuple or range, counted from the end if negative.
std::optional<Value> find_element(Budget& budget, const Value& object, std::int64_t index) {
  const std::int64_t length = length_of(object);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  if (object.is_string()) {
    const Value character = character_at(budget, object.string_object(), static_cast<std::size_t>(index));
    return string_like(budget, object, character.text());
  }
  if (object.is_sequence()) return object.items()[static_cast<std::size_t>(index)];
  const auto& range = object.as<RangeObject>();
  return Value::integer(range.start + index * range.step);
}

std::optional<Value> find_item(Budget& budget, const Value& object, const Value& key) {
  if (object.is(Type::kDict)) {
    if (key.is(Type::kList) || key.is(Type::kDict)) return std::nullopt;
    const Value* found = find_entry(budget, object.entries(), key);
    return found ? std::optional(*found) : std::nullopt;
  }
  const bool is_indexed = object.is_string() || object.is_sequence() || object.is(Type::kRange);
  return is_indexed && key.is_integral() ? find_element(budget, object, key.as_integer()) : std::nullopt;
}

/// Python's rule for one bound of a slice: negative counts from the end, and out of range is brought to the edge.
std::int64_t clamp_bound(const Value& bound, std::int64_t length, std::int64_t step, std::int64_t otherwise) {
  if (bound.is_none()) return otherwise;
  require_defined(bound);
  if (bound.is(Type::kBigInteger)) {  // behind one end or the other
    const bool is_before = bound.as_big_integer().is_negative();
    return clamp_bound(Value::integer(is_before ? INT64_MIN / 2 : INT64_MAX), length, step, otherwise);
  }
  if (!bound.is_integral()) throw Fault("slice indices must be integers or None or have an __index__ method");
  std::int64_t index = bound.as_integer();
  if (index < 0) index = std::max<std::int64_t>(index + length, step < 0 ? -1 : 0);
  return std::min(index, step < 0 ? length - 1 : length);
}

}  // namespace

Value apply_unary(Budget& budget, ast::Unary::Operator op, const Value& operand) {
  if (op == ast::Unary::Operator::kNot) return Value::boolean(!is_true(operand));
  require_defined(operand);
  const bool is_minus = op == ast::Unary::Operator::kMinus;
  if (operand.is_integral()) {
    if (!is_minus) return Value::integer(operand.as_integer());
    return integer_arithmetic(budget, BinaryOperator::kSubtract, 0, operand.as_integer());
  }
  if (operand.is(Type::kBigInteger)) {
    return is_minus ? Value::integer(budget, operand.as_big_integer().negated()) : operand;
  }
  if (operand.is(Type::kFloat)) return Value::number(is_minus ? -operand.as_float() : operand.as_float());
  throw Fault("bad operand type for unary " + std::string(is_minus ? "-" : "+") + ": '" +
              std::string(type_name(operand)) + "'");
}

Value apply_binary(Budget& budget, BinaryOperator op, const Value& left, const Value& right) {
  require_defined(left);
  if (op == BinaryOperator::kModulo && left.is_string()) {
    return string_like(budget, left, format_percent(budget, left, right));
  }
  require_defined(right);
  if (left.is_integral() && right.is_integral()) {
    return integer_arithmetic(budget, op, left.as_integer(), right.as_integer());
  }
  if (left.is_whole() && right.is_whole()) {
    return big_arithmetic(budget, op, left.as_big_integer(), right.as_big_integer());
  }
  if (left.is_number() && right.is_number()) {
    const auto as_float = [](const Value& value) {
      return value.is(Type::kFloat) ? value.as_float() : require_finite(value.as_float());
    };
    return float_arithmetic(op, as_float(left), as_float(right));
  }
  if (op == BinaryOperator::kAdd && left.type() == right.type() && (left.is_string() || left.is_sequence())) {
    return concatenate(budget, left, right);
  }
  if (op == BinaryOperator::kMultiply && can_repeat(left, right)) return repeat_value(budget, left, right.as_integer());
  if (op == BinaryOperator::kMultiply && can_repeat(right, left)) return repeat_value(budget, right, left.as_integer());
  fail_operands(op, left, right);
}

bool apply_comparison(Budget& budget, ast::Comparison::Operator op, const Value& left, const Value& right) {
  using Operator = ast::Comparison::Operator;
  const auto is_ordered = [&] {  // comparisons with nan are all false
    const auto is_nan = [](const Value& value) { return value.is(Type::kFloat) && std::isnan(value.as_float()); };
    return !(left.is_number() && right.is_number() && (is_nan(left) || is_nan(right)));
  };
  switch (op) {
    case Operator::kEqual:
      return equal(budget, left, right);
    case Operator::kNotEqual:
      return !equal(budget, left, right);
    case Operator::kLess:
      return compare(budget, left, right, "<") < 0 && is_ordered();
    case Operator::kLessEqual:
      return compare(budget, left, right, "<=") <= 0 && is_ordered();
    case Operator::kGreater:
      return compare(budget, left, right, ">") > 0 && is_ordered();
    case Operator::kGreaterEqual:
      return compare(budget, left, right, ">=") >= 0 && is_ordered();
    case Operator::kIn:
      return contains(budget, right, left);
    case Operator::kNotIn:
      return !contains(budget, right, left);
  }
  return false;
}

Value get_attribute(Budget& budget, const Value& object, const Value& name) {
  require_defined(object);
  if (std::optional<Value> own = find_own_attribute(budget, object, name.text())) return *own;
  if (std::optional<Value> item = find_item(budget, object, name)) return *item;
  return Value::undefined_element(budget, object, name);
}

Value get_item(Budget& budget, const Value& object, const Value& key) {
  require_defined(object);
  if (std::optional<Value> item = find_item(budget, object, key)) return *item;
  if (key.is_string()) {
    if (std::optional<Value> own = find_own_attribute(budget, object, key.text())) return *own;
  }
  return Value::undefined_element(budget, object, key);
}

Value get_slice(Budget& budget, const Value& object, const Value& start, const Value& stop, const Value& step) {
  require_defined(object);
  if (object.is(Type::kDict)) throw Fault("unhashable type: 'slice'");
  if (!object.is_string() && !object.is_sequence() && !object.is(Type::kRange)) {
    throw Fault("'" + std::string(type_name(object)) + "' object is not subscriptable");
  }
  const std::int64_t length = length_of(object);
  std::int64_t by = 1;
  if (!step.is_none()) {
    require_defined(step);
    if (!step.is_integral()) throw Fault("slice indices must be integers or None or have an __index__ method");
    by = step.as_integer();
    if (by == 0) throw Fault("slice step cannot be zero");
    by = std::clamp(by, -length - 1, length + 1);  // a longer step goes past the end as well
  }
  const std::int64_t first = clamp_bound(start, length, by, by < 0 ? length - 1 : 0);
  const std::int64_t past = clamp_bound(stop, length, by, by < 0 ? -1 : length);
  if (object.is_string() && by == 1) {
    const StringObject& string = object.string_object();
    budget.spend_bytes(string.text.size());
    if (past <= first) return string_like(budget, object, {});
    const auto from = static_cast<std::size_t>(first), count = static_cast<std::size_t>(past - first);
    if (string.is_single_bytes()) return string_like(budget, object, string.text.substr(from, count));
    const std::size_t begin = byte_offset(string.text, from);
    const std::string_view rest = std::string_view(string.text).substr(begin);
    return string_like(budget, object, std::string(rest.substr(0, byte_offset(rest, count))));
  }
  if (object.is(Type::kRange)) {
    const auto& range = object.as<RangeObject>();
    const auto at = [&](std::int64_t index) { return range.start + index * range.step; };
    return Value::object(Type::kRange, std::make_shared<RangeObject>(budget, at(first), at(past), range.step * by));
  }
  const auto elements = elements_of(budget, object);
  std::vector<Value> picked;
  for (std::int64_t i = first; by > 0 ? i < past : i > past; i += by) {
    budget.spend(1);
    picked.push_back(elements->items[static_cast<std::size_t>(i)]);
  }
  if (object.is_string()) {
    std::string text;
    for (const Value& character : picked) text += character.text();
    return string_like(budget, object, std::move(text));
  }
  if (object.is(Type::kTuple)) return Value::tuple(budget, std::move(picked));
  return Value::list(budget, std::move(picked));
}

Value get_path(Budget& budget, const Value& object, const Value& path, const Value* otherwise) {
  Value result = object;
  const auto step = [&](const Value& key) {
    result = get_item(budget, result, key);
    if (result.is_undefined() && otherwise != nullptr) result = *otherwise;
  };
  if (path.is_none()) return result;
  if (!path.is_string()) {
    step(path);
    return result;
  }
  for (std::string_view part : split_on(budget, path.text(), ".", -1, Side::kLeft)) {
    const bool is_index =
        !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    step(is_index ? Value::integer(parse_integer(part, 10).value_or(0)) : Value::string(budget, std::string(part)));
  }
  return result;
}

}  // namespace megalith::jinja
