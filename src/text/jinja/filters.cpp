// The filters: value|name(arguments). Signatures are Jinja2's, defaults included; tojson is transformers' override.
#include <algorithm>
#include <cmath>

#include "text/jinja/code_points.h"
#include "text/jinja/format.h"
#include "text/jinja/json.h"
#include "text/jinja/number_text.h"
#include "text/jinja/operators.h"
#include "text/jinja/stable_sort.h"
#include "text/jinja/strings.h"
#include "text/jinja/tables.h"

namespace megalith::jinja {
namespace {

using Items = std::vector<Value>;
using Rest = Builtin::Rest;

// ---- helpers

std::string subject_text(const Call& call) { return to_text(call.budget, call[0]); }

std::shared_ptr<const SequenceObject> subject_elements(const Call& call) { return elements_of(call.budget, call[0]); }

Value lower_if_text(const Call& call, const Value& value) {
  return value.is_string() ? call.string(to_lower(value.text())) : value;
}

/// The key to sort or compare an element by: a path into it, letters lowered unless case matters.
Value key_of(const Call& call, const Value& element, const Value& path, bool case_sensitive) {
  Value key = get_path(call.budget, element, path);
  return case_sensitive ? key : lower_if_text(call, key);
}

struct Keyed {
  Value key, element;
};

enum class Order { kAscending, kDescending };

/// Stable, also when descending, as Python's sorted(reverse=True) is.
void sort_by_key(const Call& call, std::vector<Keyed>& elements, Order order) {
  stable_sort(elements, [&](const Keyed& a, const Keyed& b) {
    return order == Order::kAscending ? compare(call.budget, a.key, b.key, "<") < 0
                                      : compare(call.budget, b.key, a.key, "<") < 0;
  });
}

Order order_of(const Call& call, std::size_t reverse) {
  return call.flag(reverse) ? Order::kDescending : Order::kAscending;
}

Items elements_only(std::vector<Keyed> keyed) {
  Items items;
  items.reserve(keyed.size());
  for (Keyed& entry : keyed) items.push_back(std::move(entry.element));
  return items;
}

// ---- text

Value filter_upper(const Call& call) { return call.same_string(to_upper(subject_text(call))); }
Value filter_lower(const Call& call) { return call.same_string(to_lower(subject_text(call))); }
Value filter_capitalize(const Call& call) { return call.same_string(capitalize(subject_text(call))); }
Value filter_string(const Call& call) { return call[0].is_string() ? call[0] : call.string(subject_text(call)); }
Value filter_escape(const Call& call) { return Value::markup(call.budget, to_escaped_text(call.budget, call[0])); }

Value filter_force_escape(const Call& call) {
  return Value::markup(call.budget, html_escape(call.budget, subject_text(call)));
}

Value filter_safe(const Call& call) {
  return call[0].is_markup() ? call[0] : Value::markup(call.budget, subject_text(call));
}

/// Unlike str.title, only white space, hyphens and opening brackets begin a word.
Value filter_title(const Call& call) {
  const std::string text = subject_text(call);
  std::string result;
  bool begins_word = true;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = decode_code_point(text, at);
    if (begins_word) {
      append_upper(result, c);
    } else {
      append_lower(result, c);
    }
    begins_word = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  }
  return call.string(std::move(result));
}

Value filter_trim(const Call& call) {
  const std::string text = subject_text(call);
  if (!call.given(1)) return call.same_string(std::string(strip(text, Side::kBoth)));
  return call.same_string(std::string(strip(call.budget, text, call.text(1), Side::kBoth)));
}

Value filter_replace(const Call& call) {
  const std::string from = to_text(call.budget, call[1]), to = to_text(call.budget, call[2]);
  const std::int64_t limit = call.given(3) ? call.integer(3) : -1;
  return call.string(replace(call.budget, subject_text(call), from, to, limit));
}

Value filter_center(const Call& call) {
  return call.same_string(pad(call.budget, subject_text(call), call.integer_or(1, 80), " ", Side::kBoth));
}

Value filter_indent(const Call& call) {
  if (!call[0].is_string()) call.text(0);
  const std::string indent =
      call.has(1) && call[1].is_string() ? call[1].text() : repeat(call.budget, " ", call.integer_or(1, 4));
  const bool first = call.flag(2), blank = call.flag(3);
  const std::string text = call.text(0) + "\n";
  const std::vector<std::string_view> lines = split_lines(call.budget, text, LineEnds::kDrop);
  TextBuffer out(call.budget);
  if (first) out.append(indent);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n");
    if (i > 0 && (blank || !lines[i].empty())) out.append(indent);
    out.append(lines[i]);
  }
  return call.same_string(out.take());
}

Value filter_wordcount(const Call& call) {
  const std::string text = subject_text(call);
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = decode_code_point(text, at);
    const bool is_word = c == '_' || is_alpha(c) || is_numeric(c);
    words += is_word && !inside ? 1 : 0;
    inside = is_word;
  }
  return Value::integer(words);
}

Value filter_truncate(const Call& call) {
  const std::int64_t length = call.integer_or(1, 255);
  const bool kill_words = call.flag(2);
  const std::string end = call.has(3) ? call.text(3) : "...";
  const std::int64_t leeway = call.given(4) ? call.integer(4) : 5;
  const auto end_length = static_cast<std::int64_t>(count_code_points(end));
  if (length < end_length)
    call.fail("expected length >= " + std::to_string(end_length) + ", got " + std::to_string(length));
  if (leeway < 0) call.fail("expected leeway >= 0, got " + std::to_string(leeway));
  if (length_of(call[0]) - leeway <= length) return call[0];
  const std::string& text = call.text(0);
  std::string kept = text.substr(0, byte_offset(text, static_cast<std::size_t>(length - end_length)));
  if (!kill_words) kept = kept.substr(0, kept.rfind(' '));
  return call.same_string(kept + (call[0].is_markup() && call.has(3) ? to_escaped_text(call.budget, call[3]) : end));
}

Value filter_format(const Call& call) {
  const Arguments arguments = call.rest_from(0);
  if (!arguments.named.empty() && !arguments.positional.empty()) {
    call.fail("can't handle positional and keyword arguments at the same time");
  }
  const Value format = filter_string(call);
  if (arguments.named.empty()) {
    return call.same_string(format_percent(call.budget, format, Value::tuple(call.budget, arguments.positional)));
  }
  Value::Entries entries;
  for (const auto& [name, value] : arguments.named) entries.emplace_back(call.string(name), value);
  return call.same_string(format_percent(call.budget, format, Value::dict(call.budget, std::move(entries))));
}

Value filter_urlencode(const Call& call) {
  if (!call[0].is_string()) call.text(0);
  TextBuffer out(call.budget);
  for (char c : call.text(0)) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          std::string_view("_.-~/").find(c) != std::string_view::npos;
    const auto byte = static_cast<unsigned char>(c);
    const char escape[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
    out.append(is_plain ? std::string_view(&c, 1) : std::string_view(escape, 3));
  }
  return call.string(out.take());
}

Value filter_tojson(const Call& call) {
  JsonStyle style;
  style.ensure_ascii = call.flag(1);
  if (call.given(2)) {
    style.is_indented = true;
    style.item_separator = ",";
    style.indent = call[2].is_string() ? call[2].text() : repeat(call.budget, " ", call.integer(2));
  }
  if (call.given(3)) {
    const auto separators = elements_of(call.budget, call[3]);
    if (separators->items.size() != 2 || !separators->items[0].is_string() || !separators->items[1].is_string()) {
      call.fail("needs two strings as separators");
    }
    style.item_separator = separators->items[0].text();
    style.key_separator = separators->items[1].text();
  }
  style.sort_keys = call.flag(4);
  return call.string(to_json(call.budget, call[0], style));
}

// ---- numbers

Value filter_int(const Call& call) {
  Value otherwise = call.value_or(1, Value::integer(0));
  const Value& value = call[0];
  if (value.is_integral()) return Value::integer(value.as_integer());
  if (value.is(Type::kBigInteger)) return value;
  require_defined(value);
  if (!value.is_string() && !value.is(Type::kFloat)) return otherwise;
  if (value.is_string()) {
    const auto base = static_cast<int>(call.integer_or(2, 10));
    if (base != 0 && (base < 2 || base > 36)) call.fail("base must be >= 2 and <= 36, or 0");
    const std::size_t digits = std::min(value.text().size(), 4 * BigInteger::kMaxDigits);
    call.budget.spend(digits * digits / 256);  // reading a long number of base 36 is quadratic
    if (auto parsed = parse_big_integer(value.text(), base)) return Value::integer(call.budget, std::move(*parsed));
  }
  const std::optional<double> number = value.is_string() ? parse_float(value.text()) : value.as_float();
  if (!number || !std::isfinite(*number)) return otherwise;
  constexpr double kPast = 9223372036854775808.0;  // 2^63
  if (*number >= kPast || *number < -kPast) return Value::integer(call.budget, BigInteger::from_double(*number));
  return Value::integer(static_cast<std::int64_t>(*number));
}

Value filter_float(const Call& call) {
  if (call[0].is_number()) return Value::number(call[0].as_float());
  require_defined(call[0]);
  const std::optional<double> number = call[0].is_string() ? parse_float(call[0].text()) : std::nullopt;
  return number ? Value::number(*number) : call.value_or(1, Value::number(0.0));
}

Value filter_abs(const Call& call) {
  if (!call[0].is_number()) {
    require_defined(call[0]);
    throw Fault("bad operand type for abs(): '" + std::string(type_name(call[0])) + "'");
  }
  if (call[0].is(Type::kFloat)) return Value::number(std::fabs(call[0].as_float()));
  const bool is_negative = call[0].as_big_integer().is_negative();
  return apply_unary(call.budget, is_negative ? ast::Unary::Operator::kMinus : ast::Unary::Operator::kPlus, call[0]);
}

/// round() of an integer, exact: half to even where tens, hundreds and so on are asked for.
Value round_whole(const Call& call, int precision) {
  const BigInteger number = call[0].as_big_integer();
  if (precision >= 0) return Value::integer(call.budget, number);
  constexpr std::uint64_t kDearestDivision = 480 * 45 * 8;  // limbs of the longest number and of 10^400
  call.budget.spend(number.limb_count() > 3 ? kDearestDivision : 16);
  const BigInteger unit = BigInteger::power(BigInteger(10), static_cast<std::uint64_t>(-precision));
  auto [count, rest] = BigInteger::divide_floor(number, unit);
  const int half = BigInteger::compare(rest + rest, unit);
  const bool is_odd = !BigInteger::divide_floor(count, BigInteger(2)).second.is_zero();
  if (half > 0 || (half == 0 && is_odd)) count = count + BigInteger(1);
  return Value::integer(call.budget, count * unit);
}

Value filter_round(const Call& call) {
  require_defined(call[0]);
  if (!call[0].is_number()) {
    throw Fault("type " + std::string(type_name(call[0])) + " doesn't define __round__ method");
  }
  const auto precision = static_cast<int>(std::clamp<std::int64_t>(call.integer_or(1, 0), -400, 400));
  const std::string method = call.has(2) ? call.text(2) : "common";
  if (method == "common") {
    if (call[0].is_whole()) return round_whole(call, precision);
    return Value::number(round_to(call[0].as_float(), precision));
  }
  if (method != "ceil" && method != "floor") call.fail("method must be common, ceil or floor");
  if (call[0].is_whole() && precision >= 0) return Value::number(call[0].as_float());
  const double scale = std::pow(10.0, precision);
  const double scaled = call[0].as_float() * scale;
  return Value::number((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

// ---- sequences

Value filter_length(const Call& call) { return Value::integer(length_of(call[0])); }

Value filter_list(const Call& call) { return Value::list(subject_elements(call)); }

Value filter_first(const Call& call) {
  if (call[0].is(Type::kIterator)) {  // takes one, leaves the rest
    const auto& iterator = call[0].as<IteratorObject>();
    if (iterator.next < iterator.items.size()) return iterator.items[iterator.next++];
    return Value::undefined(call.budget, "No first item, sequence was empty.");
  }
  const auto elements = subject_elements(call);
  if (elements->items.empty()) return Value::undefined(call.budget, "No first item, sequence was empty.");
  return elements->items.front();
}

void require_reversible(const Call& call) {
  if (call[0].is(Type::kIterator)) throw Fault("'generator' object is not reversible");
}

Value filter_last(const Call& call) {
  require_reversible(call);
  const auto elements = subject_elements(call);
  if (elements->items.empty()) return Value::undefined(call.budget, "No last item, sequence was empty.");
  return elements->items.back();
}

Value filter_reverse(const Call& call) {
  const auto elements = subject_elements(call);
  Items items(elements->items.rbegin(), elements->items.rend());
  if (!call[0].is_string()) return Value::iterator(call.budget, std::move(items));
  std::string text;
  for (const Value& character : items) text += character.text();
  return call.same_string(std::move(text));
}

Value filter_join(const Call& call) {
  const auto elements = subject_elements(call);
  const std::string separator = call.has(1) ? to_text(call.budget, call[1]) : "";
  TextBuffer out(call.budget);
  for (std::size_t i = 0; i < elements->items.size(); ++i) {
    if (i > 0) out.append(separator);
    const Value& element = elements->items[i];
    append_text(out, call.budget, call.given(2) ? get_path(call.budget, element, call[2]) : element);
  }
  return call.string(out.take());
}

Value filter_sum(const Call& call) {
  Value total = call.value_or(2, Value::integer(0));
  const auto elements = subject_elements(call);
  for (const Value& element : elements->items) {
    const Value& term = call.given(1) ? get_path(call.budget, element, call[1]) : element;
    total = apply_binary(call.budget, ast::Binary::Operator::kAdd, total, term);
  }
  return total;
}

Value filter_sort(const Call& call) {
  const bool case_sensitive = call.flag(2);
  Items paths = {Value::none()};
  if (call.given(3) && call[3].is_string()) {
    paths.clear();
    for (std::string_view path : split_on(call.budget, call[3].text(), ",", -1, Side::kLeft)) {
      paths.push_back(call.string(std::string(path)));
    }
  } else if (call.given(3)) {
    paths = {call[3]};
  }
  std::vector<Keyed> keyed;
  const auto elements = subject_elements(call);
  for (const Value& element : elements->items) {
    Items keys;
    for (const Value& path : paths) keys.push_back(key_of(call, element, path, case_sensitive));
    keyed.push_back({Value::list(call.budget, std::move(keys)), element});
  }
  sort_by_key(call, keyed, order_of(call, 1));
  return Value::list(call.budget, elements_only(std::move(keyed)));
}

Value filter_dictsort(const Call& call) {
  if (!call[0].is(Type::kDict)) {
    require_defined(call[0]);
    call.fail("needs a dict, not " + std::string(type_name(call[0])));
  }
  const std::string by = call.has(2) ? call.text(2) : "key";
  if (by != "key" && by != "value") throw Fault("You can only sort by either \"key\" or \"value\"");
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : call[0].entries()) {
    keyed.push_back({key_of(call, by == "key" ? key : value, Value::none(), call.flag(1)),
                     Value::tuple(call.budget, {key, value})});
  }
  sort_by_key(call, keyed, order_of(call, 3));
  return Value::list(call.budget, elements_only(std::move(keyed)));
}

Value filter_unique(const Call& call) {
  Items seen, kept;
  const auto elements = subject_elements(call);
  for (const Value& element : elements->items) {
    const Value key = key_of(call, element, call.value_or(2, Value::none()), call.flag(1));
    require_hashable(call.budget, key);
    const bool is_new =
        std::none_of(seen.begin(), seen.end(), [&](const Value& old) { return equal(call.budget, old, key); });
    if (!is_new) continue;
    seen.push_back(key);
    kept.push_back(element);
  }
  return Value::iterator(call.budget, std::move(kept));
}

enum class Extreme { kMin, kMax };

template <Extreme extreme>
Value filter_extreme(const Call& call) {
  const auto elements = subject_elements(call);
  if (elements->items.empty()) return Value::undefined(call.budget, "No aggregated item, sequence was empty.");
  const Value path = call.value_or(2, Value::none());
  Value best = elements->items.front();
  Value best_key = key_of(call, best, path, call.flag(1));
  for (std::size_t i = 1; i < elements->items.size(); ++i) {
    Value key = key_of(call, elements->items[i], path, call.flag(1));
    const bool is_better = extreme == Extreme::kMin ? compare(call.budget, key, best_key, "<") < 0
                                                    : compare(call.budget, key, best_key, ">") > 0;
    if (!is_better) continue;
    best = elements->items[i];
    best_key = std::move(key);
  }
  return best;
}

Value filter_batch(const Call& call) {
  const std::int64_t size = call.integer(1);
  Items batches, batch;
  const auto elements = subject_elements(call);
  for (const Value& element : elements->items) {
    if (static_cast<std::int64_t>(batch.size()) == size) {
      batches.push_back(Value::list(call.budget, std::exchange(batch, {})));
    }
    batch.push_back(element);
  }
  if (!batch.empty()) {
    if (call.given(2) && size > 0) {
      const auto most = std::min<std::uint64_t>(static_cast<std::uint64_t>(size), SIZE_MAX / sizeof(Value));
      call.budget.require(most * sizeof(Value));
    }
    while (call.given(2) && static_cast<std::int64_t>(batch.size()) < size) {
      call.budget.spend(1);
      batch.push_back(call[2]);
    }
    batches.push_back(Value::list(call.budget, std::move(batch)));
  }
  return Value::iterator(call.budget, std::move(batches));
}

Value filter_slice(const Call& call) {
  const auto elements = subject_elements(call);
  const std::int64_t slices = call.integer(1);
  const auto length = static_cast<std::int64_t>(elements->items.size());
  if (slices == 0) throw Fault("integer division or modulo by zero");
  Items result;
  std::int64_t start = 0;
  for (std::int64_t i = 0; i < slices; ++i) {
    call.budget.spend(1);
    const bool is_longer = i < length % slices;
    const std::int64_t end = start + length / slices + (is_longer ? 1 : 0);
    Items part(elements->items.begin() + start, elements->items.begin() + end);
    if (call.given(2) && !is_longer) part.push_back(call[2]);
    result.push_back(Value::list(call.budget, std::move(part)));
    start = end;
  }
  return Value::iterator(call.budget, std::move(result));
}

Value filter_groupby(const Call& call) {
  const Value* otherwise = call.given(2) ? &call[2] : nullptr;
  const auto grouper = [&](const Value& element) { return get_path(call.budget, element, call[1], otherwise); };
  std::vector<Keyed> keyed;
  const auto elements = subject_elements(call);
  for (const Value& element : elements->items) {
    const Value key = grouper(element);
    keyed.push_back({call.flag(3) ? key : lower_if_text(call, key), element});
  }
  sort_by_key(call, keyed, Order::kAscending);
  Items groups;
  for (std::size_t i = 0; i < keyed.size();) {
    const std::size_t first = i;
    Items members;
    for (; i < keyed.size() && equal(call.budget, keyed[i].key, keyed[first].key); ++i)
      members.push_back(keyed[i].element);
    const Value key = grouper(members.front());
    groups.push_back(Value::tuple(call.budget, {key, Value::list(call.budget, std::move(members))}));
  }
  return Value::list(call.budget, std::move(groups));
}

Value filter_items(const Call& call) {
  if (call[0].is_undefined()) return Value::iterator(call.budget, {});
  if (!call[0].is(Type::kDict)) throw Fault("Can only get item pairs from a mapping.");
  Items pairs;
  for (const auto& [key, value] : call[0].entries()) pairs.push_back(Value::tuple(call.budget, {key, value}));
  return Value::iterator(call.budget, std::move(pairs));
}

// ---- filters that use other filters and tests

const Builtin& named_builtin(std::span<const Builtin> table, std::string_view kind, const Value& name) {
  const Builtin* found = name.is_string() ? find_builtin(table, name.text()) : nullptr;
  if (found == nullptr)
    throw Fault("No " + std::string(kind) + " named " + (name.is_string() ? "'" + name.text() + "'." : "like this."));
  return *found;
}

Value filter_map(const Call& call) {
  Items results;
  if (!is_true(call[0])) return Value::iterator(call.budget, {});
  const auto elements = subject_elements(call);
  const auto named = [&](std::string_view name) -> const Value* {
    for (const auto& [given, value] : call.named_rest()) {
      if (given == name) return &value;
    }
    return nullptr;
  };
  if (const Value* attribute = call.rest().empty() ? named("attribute") : nullptr) {
    const Value* otherwise = named("default");
    if (call.named_rest().size() > (otherwise != nullptr ? 2 : 1)) call.fail("got an unexpected keyword argument");
    if (otherwise != nullptr && otherwise->is_none()) otherwise = nullptr;
    for (const Value& element : elements->items)
      results.push_back(get_path(call.budget, element, *attribute, otherwise));
    return Value::iterator(call.budget, std::move(results));
  }
  if (call.rest().empty()) throw Fault("map requires a filter argument");
  const Builtin& filter = named_builtin(filters(), "filter", call.rest()[0]);
  const Budget::Level level(call.budget);
  for (const Value& element : elements->items) {
    Arguments arguments = call.rest_from(1);
    arguments.positional.insert(arguments.positional.begin(), element);
    results.push_back(invoke(call.environment, filter, std::move(arguments)));
  }
  return Value::iterator(call.budget, std::move(results));
}

enum class Keep { kPassing, kFailing };
enum class Look { kAtElement, kAtAttribute };

/// select, reject, selectattr and rejectattr: elements by a test of themselves or of one of their attributes.
template <Keep keep, Look look>
Value filter_select(const Call& call) {
  if (!is_true(call[0])) return Value::iterator(call.budget, {});
  const auto elements = subject_elements(call);
  const std::size_t test_at = look == Look::kAtAttribute ? 1 : 0;
  if (call.rest().size() < test_at) throw Fault("Missing parameter for attribute name");
  const Builtin* test = call.rest().size() > test_at ? &named_builtin(tests(), "test", call.rest()[test_at]) : nullptr;
  Items kept;
  for (const Value& element : elements->items) {
    const Value subject = look == Look::kAtAttribute ? get_path(call.budget, element, call.rest()[0]) : element;
    bool passes = is_true(subject);
    if (test != nullptr) {
      Arguments arguments = call.rest_from(test_at + 1);
      arguments.positional.insert(arguments.positional.begin(), subject);
      passes = is_true(invoke(call.environment, *test, std::move(arguments)));
    }
    if (passes == (keep == Keep::kPassing)) kept.push_back(element);
  }
  return Value::iterator(call.budget, std::move(kept));
}

// ---- others

Value filter_default(const Call& call) {
  const bool is_missing = call[0].is_undefined() || (call.flag(2) && !is_true(call[0]));
  return is_missing ? call.value_or(1, call.string({})) : call[0];
}

Value filter_attr(const Call& call) {
  // Attributes only, no items: of a dict its methods, not its keys.
  call.text(1);
  require_defined(call[0]);
  if (call[0].is(Type::kDict)) {
    const Value empty = Value::dict(call.budget, {});
    const Value own = get_attribute(call.budget, empty, call[1]);
    if (own.is_undefined()) return own;
  }
  return get_attribute(call.budget, call[0], call[1]);
}

constexpr Builtin kFilters[] = {
    {"abs", filter_abs, {"value"}},
    {"attr", filter_attr, {"value", "name"}, 2},
    {"batch", filter_batch, {"value", "linecount", "fill_with"}, 2},
    {"capitalize", filter_capitalize, {"value"}},
    {"center", filter_center, {"value", "width"}},
    {"count", filter_length, {"value"}},
    {"d", filter_default, {"value", "default_value", "boolean"}},
    {"default", filter_default, {"value", "default_value", "boolean"}},
    {"dictsort", filter_dictsort, {"value", "case_sensitive", "by", "reverse"}},
    {"e", filter_escape, {"value"}},
    {"escape", filter_escape, {"value"}},
    {"first", filter_first, {"value"}},
    {"float", filter_float, {"value", "default"}},
    {"forceescape", filter_force_escape, {"value"}},
    {"format", filter_format, {"(value)"}, 1, Rest::kAny},
    {"groupby", filter_groupby, {"value", "attribute", "default", "case_sensitive"}, 2},
    {"indent", filter_indent, {"s", "width", "first", "blank"}},
    {"int", filter_int, {"value", "default", "base"}},
    {"items", filter_items, {"value"}},
    {"join", filter_join, {"value", "d", "attribute"}},
    {"last", filter_last, {"value"}},
    {"length", filter_length, {"value"}},
    {"list", filter_list, {"value"}},
    {"lower", filter_lower, {"value"}},
    {"map", filter_map, {"(value)"}, 1, Rest::kAny},
    {"max", filter_extreme<Extreme::kMax>, {"value", "case_sensitive", "attribute"}},
    {"min", filter_extreme<Extreme::kMin>, {"value", "case_sensitive", "attribute"}},
    {"reject", filter_select<Keep::kFailing, Look::kAtElement>, {"(value)"}, 1, Rest::kAny},
    {"rejectattr", filter_select<Keep::kFailing, Look::kAtAttribute>, {"(value)"}, 1, Rest::kAny},
    {"replace", filter_replace, {"s", "old", "new", "count"}, 3},
    {"reverse", filter_reverse, {"value"}},
    {"round", filter_round, {"value", "precision", "method"}},
    {"safe", filter_safe, {"value"}},
    {"select", filter_select<Keep::kPassing, Look::kAtElement>, {"(value)"}, 1, Rest::kAny},
    {"selectattr", filter_select<Keep::kPassing, Look::kAtAttribute>, {"(value)"}, 1, Rest::kAny},
    {"slice", filter_slice, {"value", "slices", "fill_with"}, 2},
    {"sort", filter_sort, {"value", "reverse", "case_sensitive", "attribute"}},
    {"string", filter_string, {"value"}},
    {"sum", filter_sum, {"iterable", "attribute", "start"}},
    {"title", filter_title, {"value"}},
    {"tojson", filter_tojson, {"x", "ensure_ascii", "indent", "separators", "sort_keys"}},
    {"trim", filter_trim, {"value", "chars"}},
    {"truncate", filter_truncate, {"s", "length", "killwords", "end", "leeway"}},
    {"unique", filter_unique, {"value", "case_sensitive", "attribute"}},
    {"upper", filter_upper, {"value"}},
    {"urlencode", filter_urlencode, {"value"}},
    {"wordcount", filter_wordcount, {"value"}},
};

}  // namespace

std::span<const Builtin> filters() { return kFilters; }

}  // namespace megalith::jinja
