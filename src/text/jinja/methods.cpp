// The methods of Python's types that do not change the object; the sandbox forbids the others (see operators.cpp).
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

using Items = std::vector<Value>;
using Rest = Builtin::Rest;

// ---- str

Value text_list(const Call& call, const std::vector<std::string_view>& parts) {
  Items items;
  items.reserve(parts.size());
  for (std::string_view part : parts) items.push_back(call.same_string(std::string(part)));
  return Value::list(call.budget, std::move(items));
}

template <std::string (*function)(std::string_view)>
Value str_map(const Call& call) {
  return call.same_string(function(call.text(0)));
}

template <Side side>
Value str_strip(const Call& call) {
  if (!call.given(1)) return call.same_string(std::string(strip(call.text(0), side)));
  return call.same_string(std::string(strip(call.budget, call.text(0), call.text(1), side)));
}

template <Side from>
Value str_split(const Call& call) {
  const std::int64_t limit = call.integer_or(2, -1);
  if (!call.given(1)) return text_list(call, split_on_space(call.budget, call.text(0), limit, from));
  if (call.text(1).empty()) throw Fault("empty separator");
  return text_list(call, split_on(call.budget, call.text(0), call.text(1), limit, from));
}

template <Side from>
Value str_partition(const Call& call) {
  const std::string_view text = call.text(0), separator = call.text(1);
  if (separator.empty()) throw Fault("empty separator");
  const auto parts = split_on(call.budget, text, separator, 1, from);
  std::string_view pieces[3] = {parts.front(), separator, parts.back()};
  if (parts.size() == 1) pieces[1] = pieces[from == Side::kLeft ? 2 : 0] = {};
  Items items;
  for (std::string_view piece : pieces) items.push_back(call.same_string(std::string(piece)));
  return Value::tuple(call.budget, std::move(items));
}

Value str_splitlines(const Call& call) {
  return text_list(call, split_lines(call.budget, call.text(0), call.flag(1) ? LineEnds::kKeep : LineEnds::kDrop));
}

/// A part of a text, between code points that count from the end if negative.
struct Section {
  std::string_view text;
  std::size_t first_byte;
  std::int64_t first;  // code point number
  bool is_valid;       // false: it starts behind the end of the text
};

/// The section that parameters `start` and `start + 1` choose.
Section section_of(const Call& call, std::size_t start) {
  const std::string_view text = call.text(0);
  const std::int64_t length = length_of(call[0]);
  const auto bound = [&](std::size_t index, std::int64_t otherwise) {
    if (!call.given(index)) return otherwise;
    const std::int64_t at = call.integer(index);
    return at < 0 ? std::max<std::int64_t>(at + length, 0) : at;
  };
  const std::int64_t first = bound(start, 0), past = std::min(bound(start + 1, length), length);
  if (first > past) return {{}, 0, first, false};
  const std::size_t from = byte_offset(text, static_cast<std::size_t>(first));
  const std::string_view rest = text.substr(from);
  return {rest.substr(0, byte_offset(rest, static_cast<std::size_t>(past - first))), from, first, true};
}

/// The code point number of the first or last occurrence, or -1.
std::int64_t find_index(const Call& call, Side from) {
  const Section section = section_of(call, 2);
  if (!section.is_valid) return -1;
  const std::string& needle = call.text(1);
  if (from == Side::kRight) call.budget.spend_bytes(section.text.size() * (needle.size() + 1));
  const std::size_t found =
      from == Side::kLeft ? find_text(call.budget, section.text, needle) : section.text.rfind(needle);
  if (found == std::string_view::npos) return -1;
  return section.first + static_cast<std::int64_t>(count_code_points(section.text.substr(0, found)));
}

template <Side from>
Value str_find(const Call& call) {
  return Value::integer(find_index(call, from));
}

template <Side from>
Value str_index(const Call& call) {
  const std::int64_t index = find_index(call, from);
  if (index < 0) throw Fault("substring not found");
  return Value::integer(index);
}

Value str_count(const Call& call) {
  const Section section = section_of(call, 2);
  const std::string& needle = call.text(1);
  if (!section.is_valid) return Value::integer(0);
  if (needle.empty()) return Value::integer(static_cast<std::int64_t>(count_code_points(section.text)) + 1);
  std::int64_t count = 0;
  for (std::size_t at = 0;; ++count) {
    const std::size_t found = find_text(call.budget, section.text, needle, at);
    if (found == std::string_view::npos) return Value::integer(count);
    at = found + needle.size();
  }
}

/// str.startswith and str.endswith: one affix, or any of a tuple.
template <Side side>
Value str_has_affix(const Call& call) {
  const Section section = section_of(call, 2);
  const auto matches = [&](const Value& affix) {
    if (!affix.is_string()) {
      require_defined(affix);
      call.fail("first arg must be str or a tuple of str, not " + std::string(type_name(affix)));
    }
    if (!section.is_valid) return false;
    return side == Side::kLeft ? section.text.starts_with(affix.text()) : section.text.ends_with(affix.text());
  };
  if (!call[1].is(Type::kTuple)) return Value::boolean(matches(call[1]));
  const Items& affixes = call[1].items();
  return Value::boolean(std::any_of(affixes.begin(), affixes.end(), matches));
}

template <Side side>
Value str_remove_affix(const Call& call) {
  std::string_view text = call.text(0);
  const std::string& affix = call.text(1);
  if (side == Side::kLeft && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (side == Side::kRight && text.ends_with(affix)) text.remove_suffix(affix.size());
  return call.same_string(std::string(text));
}

Value str_replace(const Call& call) {
  return call.same_string(
      replace(call.budget, call.text(0), call.text(1), call.joining_text(2), call.integer_or(3, -1)));
}

Value str_join(const Call& call) {
  const auto elements = elements_of(call.budget, call[1]);
  TextBuffer out(call.budget);
  for (std::size_t i = 0; i < elements->items.size(); ++i) {
    const Value& element = elements->items[i];
    if (!element.is_string() && !call[0].is_markup()) {
      throw Fault("sequence item " + std::to_string(i) + ": expected str instance, " + std::string(type_name(element)) +
                  " found");
    }
    if (i > 0) out.append(call.text(0));
    out.append(call[0].is_markup() ? to_escaped_text(call.budget, element) : element.text());
  }
  return call.same_string(out.take());
}

Value str_format(const Call& call) { return call.same_string(format_braces(call.budget, call[0], call.rest_from(0))); }

Value str_format_map(const Call& call) {
  Arguments arguments;
  if (!call[1].is(Type::kDict)) call.fail("needs a dict");
  for (const auto& [key, value] : call[1].entries()) {
    if (key.is_string()) arguments.named.emplace_back(key.text(), value);
  }
  return call.same_string(format_braces(call.budget, call[0], arguments));
}

template <Side side>
Value str_pad(const Call& call) {
  const std::string fill = call.has(2) ? call.joining_text(2) : " ";
  if (count_code_points(fill) != 1) throw Fault("The fill character must be exactly one character long");
  return call.same_string(pad(call.budget, call.text(0), call.integer(1), fill, side));
}

Value str_zfill(const Call& call) {
  const std::string& text = call.text(0);
  const bool has_sign = text.starts_with('-') || text.starts_with('+');
  const std::int64_t width = std::max<std::int64_t>(call.integer(1), 0) - (has_sign ? 1 : 0);
  return call.same_string(text.substr(0, has_sign ? 1 : 0) +
                          pad(call.budget, std::string_view(text).substr(has_sign ? 1 : 0), width, "0", Side::kRight));
}

Value str_expandtabs(const Call& call) {
  const std::int64_t size = call.integer_or(1, 8);
  TextBuffer out(call.budget);
  std::int64_t column = 0;
  const std::string& text = call.text(0);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = decode_code_point(text, at);
    if (c == '\t') {
      const std::int64_t width = size > 0 ? size - column % size : 0;
      out.append(repeat(call.budget, " ", width));
      column += width;
    } else {
      out.append(std::string_view(text).substr(start, at - start));
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  }
  return call.same_string(out.take());
}

/// str.isalpha and the like: not empty, and all of the class.
template <bool (*belongs)(char32_t)>
Value str_all(const Call& call) {
  const std::string& text = call.text(0);
  for (std::size_t at = 0; at < text.size();) {
    if (!belongs(decode_code_point(text, at))) return Value::boolean(false);
  }
  return Value::boolean(!text.empty());
}

bool is_alphanumeric(char32_t c) { return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c); }

template <bool (*wanted)(char32_t), bool (*other)(char32_t)>
Value str_is_cased(const Call& call) {
  bool any = false;
  const std::string& text = call.text(0);
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = decode_code_point(text, at);
    if (other(c)) return Value::boolean(false);
    any = any || wanted(c);
  }
  return Value::boolean(any);
}

/// The letters of category Lt, which are neither upper case nor lower case.
bool is_title(char32_t c) {
  return c == 0x1C5 || c == 0x1C8 || c == 0x1CB || c == 0x1F2 || (c >= 0x1F88 && c <= 0x1FAF && (c & 8) != 0) ||
         c == 0x1FBC || c == 0x1FCC || c == 0x1FFC;
}

/// str.istitle: letters that begin a word are upper case or title case, the others lower case.
Value str_istitle(const Call& call) {
  bool inside_word = false, any = false;
  const std::string& text = call.text(0);
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = decode_code_point(text, at);
    const bool begins = is_upper(c) || is_title(c);
    if (begins == inside_word && (begins || is_lower(c))) return Value::boolean(false);
    if (is_lower(c) && !inside_word) return Value::boolean(false);
    inside_word = begins || is_lower(c);
    any = any || inside_word;
  }
  return Value::boolean(any);
}

bool is_ascii(char32_t c) { return c < 0x80; }

Value str_isascii(const Call& call) { return Value::boolean(call.text(0).empty() || is_true(str_all<is_ascii>(call))); }

Value str_isprintable(const Call& call) {
  return Value::boolean(call.text(0).empty() || is_true(str_all<is_printable>(call)));
}

constexpr Builtin kStrMethods[] = {
    {"capitalize", str_map<capitalize>, {"(self)"}},
    {"center", str_pad<Side::kBoth>, {"(self)", "width", "fillchar"}, 2},
    {"count", str_count, {"(self)", "sub", "start", "end"}, 2},
    {"endswith", str_has_affix<Side::kRight>, {"(self)", "suffix", "start", "end"}, 2},
    {"expandtabs", str_expandtabs, {"(self)", "tabsize"}},
    {"find", str_find<Side::kLeft>, {"(self)", "sub", "start", "end"}, 2},
    {"format", str_format, {"(self)"}, 1, Rest::kAny},
    {"format_map", str_format_map, {"(self)", "mapping"}, 2},
    {"index", str_index<Side::kLeft>, {"(self)", "sub", "start", "end"}, 2},
    {"isalnum", str_all<is_alphanumeric>, {"(self)"}},
    {"isalpha", str_all<is_alpha>, {"(self)"}},
    {"isascii", str_isascii, {"(self)"}},
    {"isdecimal", str_all<is_decimal>, {"(self)"}},
    {"isdigit", str_all<is_digit>, {"(self)"}},
    {"islower", str_is_cased<is_lower, is_upper>, {"(self)"}},
    {"isnumeric", str_all<is_numeric>, {"(self)"}},
    {"isprintable", str_isprintable, {"(self)"}},
    {"isspace", str_all<is_space>, {"(self)"}},
    {"istitle", str_istitle, {"(self)"}},
    {"isupper", str_is_cased<is_upper, is_lower>, {"(self)"}},
    {"join", str_join, {"(self)", "iterable"}, 2},
    {"ljust", str_pad<Side::kLeft>, {"(self)", "width", "fillchar"}, 2},
    {"lower", str_map<to_lower>, {"(self)"}},
    {"lstrip", str_strip<Side::kLeft>, {"(self)", "chars"}},
    {"partition", str_partition<Side::kLeft>, {"(self)", "sep"}, 2},
    {"removeprefix", str_remove_affix<Side::kLeft>, {"(self)", "prefix"}, 2},
    {"removesuffix", str_remove_affix<Side::kRight>, {"(self)", "suffix"}, 2},
    {"replace", str_replace, {"(self)", "old", "new", "count"}, 3},
    {"rfind", str_find<Side::kRight>, {"(self)", "sub", "start", "end"}, 2},
    {"rindex", str_index<Side::kRight>, {"(self)", "sub", "start", "end"}, 2},
    {"rjust", str_pad<Side::kRight>, {"(self)", "width", "fillchar"}, 2},
    {"rpartition", str_partition<Side::kRight>, {"(self)", "sep"}, 2},
    {"rsplit", str_split<Side::kRight>, {"(self)", "sep", "maxsplit"}},
    {"rstrip", str_strip<Side::kRight>, {"(self)", "chars"}},
    {"split", str_split<Side::kLeft>, {"(self)", "sep", "maxsplit"}},
    {"splitlines", str_splitlines, {"(self)", "keepends"}},
    {"startswith", str_has_affix<Side::kLeft>, {"(self)", "prefix", "start", "end"}, 2},
    {"strip", str_strip<Side::kBoth>, {"(self)", "chars"}},
    {"swapcase", str_map<swap_case>, {"(self)"}},
    {"title", str_map<title>, {"(self)"}},
    {"upper", str_map<to_upper>, {"(self)"}},
    {"zfill", str_zfill, {"(self)", "width"}, 2},
};

// ---- dict

Value dict_get(const Call& call) {
  require_hashable(call.budget, call[1]);
  const Value* found = find_entry(call.budget, call[0].entries(), call[1]);
  return found ? *found : call.value_or(2, Value::none());
}

template <ViewObject::Part part>
Value dict_view(const Call& call) {
  return Value::object(Type::kView, std::make_shared<ViewObject>(call.budget, part, call[0]));
}

/// dict.fromkeys(keys, value)
Value dict_fromkeys(const Call& call) {
  DictBuilder builder(call.budget);
  const auto keys = elements_of(call.budget, call[1]);
  for (const Value& key : keys->items) builder.set(key, call.value_or(2, Value::none()));
  return Value::dict(call.budget, builder.take());
}

Value copy(const Call& call) { return call[0]; }  // values never change, so one is as good as two

constexpr Builtin kDictMethods[] = {
    {"copy", copy, {"(self)"}},
    {"fromkeys", dict_fromkeys, {"(self)", "iterable", "value"}, 2},
    {"get", dict_get, {"(self)", "key", "default"}, 2},
    {"items", dict_view<ViewObject::Part::kItems>, {"(self)"}},
    {"keys", dict_view<ViewObject::Part::kKeys>, {"(self)"}},
    {"values", dict_view<ViewObject::Part::kValues>, {"(self)"}},
};

// ---- list, tuple, range

Value sequence_index(const Call& call) {
  const auto elements = elements_of(call.budget, call[0]);
  const auto length = static_cast<std::int64_t>(elements->items.size());
  const auto bound = [&](std::size_t index, std::int64_t otherwise) {
    const std::int64_t at = call.integer_or(index, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? at + length : at, 0, length);
  };
  for (std::int64_t i = bound(2, 0), end = bound(3, length); i < end; ++i) {
    if (equal(call.budget, elements->items[static_cast<std::size_t>(i)], call[1])) return Value::integer(i);
  }
  throw Fault(repr(call.budget, call[1]) + " is not in " + std::string(type_name(call[0])));
}

Value sequence_count(const Call& call) {
  const auto elements = elements_of(call.budget, call[0]);
  return Value::integer(std::count_if(elements->items.begin(), elements->items.end(),
                                      [&](const Value& element) { return equal(call.budget, element, call[1]); }));
}

constexpr Builtin kSequenceMethods[] = {
    {"count", sequence_count, {"(self)", "value"}, 2},
    {"index", sequence_index, {"(self)", "value", "start", "stop"}, 2},
};

constexpr Builtin kListMethods[] = {
    {"copy", copy, {"(self)"}},
    {"count", sequence_count, {"(self)", "value"}, 2},
    {"index", sequence_index, {"(self)", "value", "start", "stop"}, 2},
};

// ---- numbers

Value is_integer(const Call& call) {
  return Value::boolean(std::isfinite(call[0].as_float()) && call[0].as_float() == std::floor(call[0].as_float()));
}

constexpr Builtin kFloatMethods[] = {{"is_integer", is_integer, {"(self)"}}};

// ---- Jinja's own objects

Value loop_cycle(const Call& call) {
  if (call.rest().empty()) throw Fault("no items for cycling given");
  const auto index = static_cast<std::size_t>(call[0].as<LoopObject>().index0);
  return call.rest()[index % call.rest().size()];
}

Value loop_changed(const Call& call) {
  return Value::boolean(call[0].as<LoopObject>().changed(call.budget, {call.rest().begin(), call.rest().end()}));
}

Value cycler_next(const Call& call) {
  const auto& cycler = call[0].as<CyclerObject>();
  const Value current = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return current;
}

Value cycler_reset(const Call& call) {
  call[0].as<CyclerObject>().position = 0;
  return Value::none();
}

constexpr Builtin kLoopMethods[] = {
    {"cycle", loop_cycle, {"(self)"}, 1, Rest::kPositional},
    {"changed", loop_changed, {"(self)"}, 1, Rest::kPositional},
};

constexpr Builtin kCyclerMethods[] = {
    {"next", cycler_next, {"(self)"}},
    {"reset", cycler_reset, {"(self)"}},
};

}  // namespace

std::span<const Builtin> methods_of(const Value& object) {
  switch (object.type()) {
    case Type::kString:
      return kStrMethods;
    case Type::kDict:
      return kDictMethods;
    case Type::kList:
      return kListMethods;
    case Type::kTuple:
    case Type::kRange:
      return kSequenceMethods;
    case Type::kFloat:
      return kFloatMethods;
    case Type::kLoop:
      return kLoopMethods;
    case Type::kCycler:
      return kCyclerMethods;
    default:
      return {};
  }
}

}  // namespace megalith::jinja
