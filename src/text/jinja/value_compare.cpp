// Equality, order and membership of values, as Python's operators decide them.
#include <algorithm>
#include <cmath>

#include "text/jinja/code_points.h"
#include "text/jinja/value.h"

namespace megalith::jinja {
namespace {

bool equal_sequences(Budget& budget, const std::vector<Value>& left, const std::vector<Value>& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!equal(budget, left[i], right[i])) return false;
  }
  return true;
}

bool equal_dicts(Budget& budget, const Value::Entries& left, const Value::Entries& right) {
  if (left.size() != right.size()) return false;
  for (const auto& [key, value] : left) {
    const Value* other = find_entry(budget, right, key);
    if (other == nullptr || !equal(budget, value, *other)) return false;
  }
  return true;
}

bool equal_ranges(const RangeObject& left, const RangeObject& right) {
  if (left.length != right.length) return false;
  if (left.length == 0) return true;
  return left.start == right.start && (left.length == 1 || left.step == right.step);
}

int compare_big(const BigInteger& integer, double number) {
  if (std::isinf(number)) return number > 0 ? -1 : 1;
  const BigInteger whole = std::isnan(number) ? BigInteger() : BigInteger::from_double(number);
  if (const int order = BigInteger::compare(integer, whole)) return order;
  const double rest = number - std::trunc(number);
  return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

void spend_on_big(Budget& budget, const Value& left, const Value& right) {
  constexpr std::uint64_t kDearestComparison = 64;
  if (left.is(Type::kBigInteger) || right.is(Type::kBigInteger)) budget.spend(kDearestComparison);
}

/// The comparison of an integer with a float must not round the integer.
int compare_numbers(const Value& left, const Value& right) {
  const auto sign = [](auto a, auto b) { return a < b ? -1 : a > b ? 1 : 0; };
  if (left.is_integral() && right.is_integral()) return sign(left.as_integer(), right.as_integer());
  if (left.is_whole() && right.is_whole()) return BigInteger::compare(left.as_big_integer(), right.as_big_integer());
  if (left.is(Type::kBigInteger)) return compare_big(left.as_big_integer(), right.as_float());
  if (right.is(Type::kBigInteger)) return -compare_big(right.as_big_integer(), left.as_float());
  if (!left.is_integral() && !right.is_integral()) return sign(left.as_float(), right.as_float());
  if (right.is_integral()) return -compare_numbers(right, left);
  const double number = right.as_float();
  constexpr double kPast = 9223372036854775808.0;  // 2^63
  if (number >= kPast) return -1;
  if (number < -kPast) return 1;
  const auto whole = static_cast<std::int64_t>(number);
  if (const int order = sign(left.as_integer(), whole)) return order;
  return sign(0.0, number - static_cast<double>(whole));
}

bool is_nan(const Value& value) { return value.is(Type::kFloat) && value.as_float() != value.as_float(); }

int compare_sequences(Budget& budget, const Value& left, const Value& right, std::string_view sign) {
  const std::vector<Value>& a = left.items();
  const std::vector<Value>& b = right.items();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (!equal(budget, a[i], b[i])) return compare(budget, a[i], b[i], sign);
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

/// Knuth, Morris and Pratt: for needles long enough that a hostile text could make the plain search quadratic.
std::size_t find_long(std::string_view haystack, std::string_view needle, std::size_t from) {
  std::vector<std::uint32_t> border(needle.size(), 0);
  for (std::size_t i = 1, matched = 0; i < needle.size(); ++i) {
    while (matched > 0 && needle[i] != needle[matched]) matched = border[matched - 1];
    if (needle[i] == needle[matched]) ++matched;
    border[i] = static_cast<std::uint32_t>(matched);
  }
  for (std::size_t i = from, matched = 0; i < haystack.size(); ++i) {
    while (matched > 0 && haystack[i] != needle[matched]) matched = border[matched - 1];
    if (haystack[i] == needle[matched]) ++matched;
    if (matched == needle.size()) return i + 1 - matched;
  }
  return std::string_view::npos;
}

}  // namespace

std::size_t find_text(Budget& budget, std::string_view haystack, std::string_view needle, std::size_t from) {
  constexpr std::size_t kPlainNeedle = 32;
  if (from > haystack.size()) return std::string_view::npos;
  std::size_t found = std::string_view::npos;
  if (needle.size() <= kPlainNeedle) {
    found = haystack.find(needle, from);
  } else if (needle.size() <= haystack.size() - from) {
    budget.reserve(needle.size() * sizeof(std::uint32_t));
    found = find_long(haystack, needle, from);
    budget.release(needle.size() * sizeof(std::uint32_t));
    budget.spend_bytes(needle.size() * 8);
  }
  const std::size_t walked = std::min(found, haystack.size()) - from;
  budget.spend_bytes(needle.size() == 1 ? walked : walked * 4);
  return found;
}

bool equal(Budget& budget, const Value& left, const Value& right) {
  budget.spend(1);
  if (left.is_number() && right.is_number()) spend_on_big(budget, left, right);
  if (left.is_number() && right.is_number())
    return !is_nan(left) && !is_nan(right) && compare_numbers(left, right) == 0;
  if (left.type() != right.type()) return false;
  if (left.identity() != nullptr && left.identity() == right.identity()) return true;
  switch (left.type()) {
    case Type::kUndefined:
    case Type::kNone:
      return true;
    case Type::kString:
      if (left.text().size() != right.text().size()) return false;
      budget.spend_bytes(left.text().size());
      return left.text() == right.text();
    case Type::kList:
    case Type::kTuple:
      return equal_sequences(budget, left.items(), right.items());
    case Type::kDict:
      return equal_dicts(budget, left.entries(), right.entries());
    case Type::kRange:
      return equal_ranges(left.as<RangeObject>(), right.as<RangeObject>());
    case Type::kFunction: {
      const auto& a = left.as<FunctionObject>();
      const auto& b = right.as<FunctionObject>();
      return &a.builtin == &b.builtin && a.self.identity() == b.self.identity();
    }
    default:
      return false;
  }
}

int compare(Budget& budget, const Value& left, const Value& right, std::string_view sign) {
  budget.spend(1);
  require_defined(left);
  require_defined(right);
  if (left.is_number() && right.is_number()) {
    spend_on_big(budget, left, right);
    return compare_numbers(left, right);
  }
  if (left.is_string() && right.is_string()) {
    budget.spend_bytes(std::min(left.text().size(), right.text().size()));
    return left.text().compare(right.text());  // UTF-8 sorts as its code points do
  }
  if (left.type() == right.type() && left.is_sequence()) return compare_sequences(budget, left, right, sign);
  throw Fault("'" + std::string(sign) + "' not supported between instances of '" + std::string(type_name(left)) +
              "' and '" + std::string(type_name(right)) + "'");
}

bool contains(Budget& budget, const Value& haystack, const Value& needle) {
  switch (haystack.type()) {
    case Type::kString:
      if (!needle.is_string()) {
        throw Fault("'in <string>' requires string as left operand, not " + std::string(type_name(needle)));
      }
      return find_text(budget, haystack.text(), needle.text()) != std::string_view::npos;
    case Type::kDict:
      require_hashable(budget, needle);
      return find_entry(budget, haystack.entries(), needle) != nullptr;
    case Type::kUndefined:
      return false;
    default:
      break;
  }
  if (!is_iterable(haystack) || haystack.is(Type::kLoop)) {
    throw Fault("argument of type '" + std::string(type_name(haystack)) + "' is not iterable");
  }
  const auto elements = elements_of(budget, haystack);
  return std::any_of(elements->items.begin(), elements->items.end(),
                     [&](const Value& element) { return equal(budget, element, needle); });
}

}  // namespace megalith::jinja
