#include "text/jinja/format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "text/jinja/code_points.h"
#include "text/jinja/number_text.h"
#include "text/jinja/operators.h"
#include "text/jinja/strings.h"

namespace megalith::jinja {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 24;
constexpr int kMaxFields = 3;  // one in another's format

/// [[fill]align][sign][#][0][width][grouping][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =, or the type's own
  char sign = '-';    // + shows one always, a space leaves room for one
  bool alternate = false;
  bool zero_padded = false;  // by a 0 before the width, which texts ignore
  std::int64_t width = 0;
  char grouping = '\0';  // , or _ between thousands
  int precision = -1;    // none
  char type = '\0';
};

bool is_digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

/// Reads digits from `at` on.
std::int64_t read_count(std::string_view text, std::size_t& at, std::int64_t limit) {
  std::int64_t count = 0;
  for (; is_digit_at(text, at); ++at) {
    count = count * 10 + (text[at] - '0');
    if (count > limit) throw Fault("a width or precision in a format is too large");
  }
  return count;
}

Spec parse_spec(std::string_view text) {
  Spec spec;
  std::size_t at = 0;
  const auto is_align = [&](std::size_t i) { return i < text.size() && std::string_view("<>^=").find(text[i]) < 4; };
  const auto take = [&](std::string_view any) {
    return at < text.size() && any.find(text[at]) != std::string_view::npos ? text[at++] : '\0';
  };
  if (!text.empty()) {
    std::size_t after_fill = 0;
    decode_code_point(text, after_fill);
    if (is_align(after_fill)) {
      spec.fill = text.substr(0, after_fill);
      at = after_fill;
    }
    if (is_align(at)) spec.align = text[at++];
  }
  if (const char sign = take("+- ")) spec.sign = sign;
  if (take("#") != '\0') spec.alternate = true;
  if (take("0") != '\0' && spec.align == '\0') {
    spec.fill.assign(1, '0');
    spec.zero_padded = true;
  }
  spec.width = read_count(text, at, kMaxWidth);
  spec.grouping = take(",_");
  if (take(".") != '\0') {
    if (!is_digit_at(text, at)) throw Fault("Format specifier missing precision");
    spec.precision = static_cast<int>(read_count(text, at, kMaxPrecision));
  }
  spec.type = take("bcdeEfFgGnosxX%");
  if (at < text.size()) throw Fault("Invalid format specifier '" + std::string(text) + "'");
  return spec;
}

/// How many of the characters stand before a point, an exponent or a percent sign.
std::size_t whole_digits(std::string_view digits, std::size_t group_size) {
  const std::string_view kinds = group_size == 3 ? "0123456789" : "0123456789abcdefABCDEF";
  return std::min(digits.find_first_not_of(kinds), digits.size());
}

/// Puts separators between the whole digits: after every three, of other bases every four.
std::string group(std::string_view digits, char separator, std::size_t group_size) {
  if (separator == '\0') return std::string(digits);
  const std::size_t whole = whole_digits(digits, group_size);
  std::string result;
  for (std::size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % group_size == 0) result.push_back(separator);
    result.push_back(digits[i]);
  }
  return result.append(digits.substr(whole));
}

/// How many whole digits, separators between them, fill so many places.
std::int64_t digits_that_fill(std::int64_t places, std::int64_t group_size) {
  std::int64_t digits = std::max<std::int64_t>(places * group_size / (group_size + 1) - 1, 0);
  while (digits + (digits > 0 ? (digits - 1) / group_size : 0) < places) ++digits;
  return digits;
}

/// A number's parts before they are put together.
struct NumberText {
  bool is_negative;
  std::string prefix;  // 0x and the like
  std::string digits;
  std::size_t group_size = 3;
};

/// Sign and digits, brought to the width: the filling may go between the two.
std::string place_number(Budget& budget, const Spec& spec, NumberText number) {
  std::string sign = number.is_negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  sign += number.prefix;
  const char align = spec.zero_padded ? '=' : spec.align == '\0' ? '>' : spec.align;
  const std::int64_t room = spec.width - static_cast<std::int64_t>(sign.size());
  std::string digits = group(number.digits, spec.grouping, number.group_size);
  if (align == '=' && spec.fill == "0" && spec.grouping != '\0') {  // the zeros are grouped, too
    const auto whole = static_cast<std::int64_t>(whole_digits(number.digits, number.group_size));
    const std::int64_t places = room - static_cast<std::int64_t>(number.digits.size()) + whole;
    const std::int64_t zeros = digits_that_fill(places, static_cast<std::int64_t>(number.group_size)) - whole;
    digits = group(repeat(budget, "0", zeros) + number.digits, spec.grouping, number.group_size);
  }
  if (align == '=') return sign + pad(budget, digits, room, spec.fill, Side::kRight);
  const Side side = align == '<' ? Side::kLeft : Side::kRight;
  if (align != '^') return pad(budget, sign + digits, spec.width, spec.fill, side);
  const std::int64_t missing = room - static_cast<std::int64_t>(digits.size());
  return repeat(budget, spec.fill, missing / 2) + sign + digits + repeat(budget, spec.fill, missing - missing / 2);
}

std::string format_text(Budget& budget, const Spec& spec, std::string_view text) {
  if (spec.sign != '-') throw Fault("Sign not allowed in string format specifier");
  if (spec.alternate) throw Fault("Alternate form (#) not allowed in string format specifier");
  if (spec.align == '=') throw Fault("'=' alignment not allowed in string format specifier");
  if (spec.grouping != '\0') throw Fault(std::string("Cannot specify '") + spec.grouping + "' with 's'.");
  if (spec.precision >= 0) text = text.substr(0, byte_offset(text, static_cast<std::size_t>(spec.precision)));
  if (spec.align == '>') return pad(budget, text, spec.width, spec.fill, Side::kRight);
  if (spec.align != '^') return pad(budget, text, spec.width, spec.fill, Side::kLeft);
  const std::int64_t missing = spec.width - static_cast<std::int64_t>(count_code_points(text));
  return repeat(budget, spec.fill, missing / 2) + std::string(text) + repeat(budget, spec.fill, missing - missing / 2);
}

/// ascii(value): repr with an escape for all that is not ASCII.
std::string ascii(Budget& budget, const Value& value) {
  const std::string text = repr(budget, value);
  TextBuffer out(budget);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = decode_code_point(text, at);
    if (c < 0x80) {
      out.append(std::string_view(text).substr(start, at - start));
      continue;
    }
    const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
    std::string escape{'\\', digits == 2 ? 'x' : digits == 4 ? 'u' : 'U'};
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) escape += "0123456789abcdef"[(c >> shift) & 15];
    out.append(escape);
  }
  return out.take();
}

std::string scientific_text(double magnitude, int precision) {
  std::array<char, kMaxPrecision + 64> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), magnitude, std::chars_format::scientific, precision);
  return std::string(buffer.data(), end.ptr);
}

/// The type g, and no type with a precision, which shows that the number is no integer.
std::string general_text(double magnitude, int precision, const Spec& spec) {
  const bool is_typeless = spec.type == '\0';
  precision = std::max(precision, 1);
  const std::string scientific = scientific_text(magnitude, precision - 1);
  const std::size_t mark = scientific.find('e');
  int exponent = 0;
  const char* digits = scientific.data() + mark + (scientific[mark + 1] == '+' ? 2 : 1);
  std::from_chars(digits, scientific.data() + scientific.size(), exponent);
  const bool is_scientific = exponent < -4 || exponent >= precision - (is_typeless ? 1 : 0);
  std::string number =
      is_scientific ? scientific.substr(0, mark) : fixed_text(magnitude, std::max(precision - 1 - exponent, 0));
  if (!spec.alternate && number.find('.') != std::string::npos) {
    number.erase(number.find_last_not_of('0') + 1);
    if (number.back() == '.') number.pop_back();
  }
  if (is_scientific) return number + scientific.substr(mark);
  return is_typeless && number.find('.') == std::string::npos ? number + ".0" : number;
}

std::string format_float(Budget& budget, const Spec& spec, double value) {
  const bool is_negative = std::signbit(value) && !std::isnan(value);
  double magnitude = std::fabs(value);
  const char type = static_cast<char>(spec.type | (spec.type == '\0' ? 0 : 0x20));
  std::string digits;
  if (spec.type == '%') magnitude *= 100;
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  if (!std::isfinite(magnitude) || (spec.type == '\0' && spec.precision < 0)) {
    digits = float_text(magnitude);
  } else if (type == 'f' || spec.type == '%') {
    digits = fixed_text(magnitude, precision);
  } else if (type == 'e') {
    digits = scientific_text(magnitude, precision);
  } else {
    digits = general_text(magnitude, precision, spec);
  }
  if (spec.alternate && std::isfinite(magnitude) && digits.find('.') == std::string::npos) {
    digits.insert(std::min(digits.find('e'), digits.size()), 1, '.');
  }
  if (spec.type == '%') digits += '%';
  if (spec.type >= 'A' && spec.type <= 'Z') digits = to_upper(digits);
  return place_number(budget, spec, {.is_negative = is_negative, .prefix = "", .digits = std::move(digits)});
}

std::string format_integer(Budget& budget, const Spec& spec, const BigInteger& value) {
  if (spec.type == 'c') {
    std::string character;
    const std::int64_t code = value.small().value_or(-1);
    if (code < 0 || code > 0x10FFFF) throw Fault("%c arg not in range(0x110000)");
    append_code_point(character, static_cast<char32_t>(code));
    return format_text(budget, spec, character);
  }
  const unsigned base = spec.type == 'b' ? 2 : spec.type == 'o' ? 8 : (spec.type | 0x20) == 'x' ? 16 : 10;
  if (base != 10 && spec.grouping == ',') throw Fault(std::string("Cannot specify ',' with '") + spec.type + "'.");
  if (base != 10) budget.spend(4 * value.limb_count() * value.limb_count());  // digits come by division
  std::string digits = value.magnitude_text(base);
  if (spec.precision > static_cast<int>(digits.size())) {  // of a percent format: the least number of digits
    digits.insert(0, static_cast<std::size_t>(spec.precision) - digits.size(), '0');
  }
  if (spec.type == 'X') digits = to_upper(digits);
  const std::string prefix = spec.alternate && base != 10 ? std::string{'0', spec.type} : "";
  return place_number(budget, spec,
                      {.is_negative = value.is_negative(),
                       .prefix = prefix,
                       .digits = std::move(digits),
                       .group_size = base == 10 ? 3u : 4u});
}

std::string format_value(Budget& budget, const Value& value, std::string_view format) {
  if (format.empty()) return to_text(budget, value);
  const Spec spec = parse_spec(format);
  const std::string_view name = type_name(value);
  const auto require = [&](bool fits) {
    if (!fits)
      throw Fault(std::string("Unknown format code '") + spec.type + "' for object of type '" + std::string(name) +
                  "'");
  };
  const bool wants_float = spec.type != '\0' && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (value.is_string()) {
    require(spec.type == '\0' || spec.type == 's');
    return format_text(budget, spec, value.text());
  }
  if (value.is(Type::kFloat) || (value.is_whole() && wants_float)) {
    require(spec.type == '\0' || wants_float || spec.type == 'n');
    return format_float(budget, spec, value.as_float());
  }
  if (value.is_whole()) {
    require(spec.type != 's');
    if (spec.precision >= 0) throw Fault("Precision not allowed in integer format specifier");
    if (spec.type == 'c' && spec.sign != '-') throw Fault("Sign not allowed with integer format specifier 'c'");
    if (spec.type == 'c' && spec.alternate) {
      throw Fault("Alternate form (#) not allowed with integer format specifier 'c'");
    }
    return format_integer(budget, spec, value.as_big_integer());
  }
  throw Fault("unsupported format string passed to " + std::string(name) + ".__format__");
}

/// Hands out the values that a percent format consumes.
class PercentArguments {
 public:
  explicit PercentArguments(const Value& values) : values_(values) {}

  Value next() {
    if (!values_.is(Type::kTuple)) {
      if (used_++ > 0) throw Fault("not enough arguments for format string");
      return values_;
    }
    if (used_ >= values_.items().size()) throw Fault("not enough arguments for format string");
    return values_.items()[used_++];
  }

  Value named(Budget& budget, std::string_view name) {
    used_ = 1;  // a dict need not be used up
    if (!values_.is(Type::kDict)) throw Fault("format requires a mapping");
    const Value* found = find_entry(budget, values_.entries(), name);
    if (found == nullptr) throw Fault("KeyError: '" + std::string(name) + "'");
    return *found;
  }

  void require_all_used() const {
    const bool left_over = values_.is(Type::kTuple)
                               ? used_ < values_.items().size()
                               : used_ == 0 && !values_.is(Type::kDict) && !values_.is(Type::kList);
    if (left_over) throw Fault("not all arguments converted during string formatting");
  }

 private:
  const Value& values_;
  std::size_t used_ = 0;
};

enum class Escape { kNone, kHtml };

std::string format_percent_value(Budget& budget, Spec& spec, const Value& value, Escape escape) {
  switch (spec.type) {
    case 's':
      return format_text(budget, spec,
                         escape == Escape::kHtml ? to_escaped_text(budget, value) : to_text(budget, value));
    case 'r':
    case 'a': {
      const std::string text = spec.type == 'a' ? ascii(budget, value) : repr(budget, value);
      return format_text(budget, spec, escape == Escape::kHtml ? html_escape(budget, text) : text);
    }
    case 'c':
      if (value.is_string() && value.string_object().code_points == 1) return format_text(budget, spec, value.text());
      break;
    default:
      break;
  }
  require_defined(value);
  const bool is_float = (spec.type | 0x20) >= 'e' && (spec.type | 0x20) <= 'g';
  if (!value.is_number() || (value.is(Type::kFloat) && !is_float && std::string_view("diu").find(spec.type) > 2)) {
    throw Fault(std::string("%") + spec.type + " format: " + (is_float ? "a real number" : "an integer") +
                " is required, not " + std::string(type_name(value)));
  }
  if (is_float) return format_float(budget, spec, value.as_float());
  if (!value.is(Type::kFloat)) return format_integer(budget, spec, value.as_big_integer());
  if (!std::isfinite(value.as_float()))
    throw Fault("cannot convert float " + float_text(value.as_float()) + " to integer");
  return format_integer(budget, spec, BigInteger::from_double(value.as_float()));
}

/// Reads what stands between % and the value's type, and the type.
Spec parse_percent_spec(std::string_view format, std::size_t& at, PercentArguments& arguments) {
  Spec spec;
  bool zero = false, left = false;
  for (; at < format.size() && std::string_view("#0- +").find(format[at]) < 5; ++at) {
    zero = zero || format[at] == '0';
    left = left || format[at] == '-';
    spec.alternate = spec.alternate || format[at] == '#';
    if (format[at] == '+' || (format[at] == ' ' && spec.sign != '+')) spec.sign = format[at];
  }
  const auto star_or_count = [&](std::int64_t limit) -> std::int64_t {
    if (at >= format.size() || format[at] != '*') return read_count(format, at, limit);
    ++at;
    const Value given = arguments.next();
    if (!given.is_integral()) throw Fault("* wants int");
    if (given.as_integer() > limit || given.as_integer() < -limit)
      throw Fault("a width or precision in a format is too large");
    return given.as_integer();
  };
  spec.width = star_or_count(kMaxWidth);
  if (spec.width < 0) {
    left = true;
    spec.width = -spec.width;
  }
  if (at < format.size() && format[at] == '.') {
    ++at;
    spec.precision = static_cast<int>(std::max<std::int64_t>(0, star_or_count(kMaxPrecision)));
  }
  while (at < format.size() && std::string_view("hlL").find(format[at]) < 3) ++at;
  if (at >= format.size()) throw Fault("incomplete format");
  spec.type = format[at++];
  if (std::string_view("diouxXeEfFgGcrsa%").find(spec.type) == std::string_view::npos) {
    throw Fault(std::string("unsupported format character '") + spec.type + "'");
  }
  const bool is_number = std::string_view("crsa").find(spec.type) == std::string_view::npos;
  spec.align = left ? '<' : zero && is_number ? '=' : '>';
  if (spec.align == '=') spec.fill.assign(1, '0');
  if (!is_number) {  // allowed there, without a meaning
    spec.sign = '-';
    spec.alternate = false;
    if (spec.type == 'c') spec.precision = -1;
  }
  return spec;
}

/// str.format: text with fields in braces.
class BraceFormatter {
 public:
  BraceFormatter(Budget& budget, const Arguments& arguments, Escape escape)
      : budget_(budget), arguments_(arguments), escape_(escape) {}

  std::string format(std::string_view text, int depth) {
    if (depth > kMaxFields) throw Fault("Max string recursion exceeded");
    TextBuffer out(budget_);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t brace = std::min(text.find_first_of("{}", at), text.size());
      out.append(text.substr(at, brace - at));
      at = brace + 1;
      if (brace == text.size()) break;
      if (at < text.size() && text[at] == text[brace]) {
        out.append(1, text[at++]);
      } else if (text[brace] == '}') {
        throw Fault("Single '}' encountered in format string");
      } else {
        out.append(field(read_field(text, at), depth));
      }
    }
    return out.take();
  }

 private:
  /// The inside of the braces that opened before `at`; moves behind the closing one.
  static std::string_view read_field(std::string_view text, std::size_t& at) {
    const std::size_t start = at;
    for (int open = 1; at < text.size(); ++at) {
      if (text[at] == '{') ++open;
      if (text[at] == '}' && --open == 0) return text.substr(start, at++ - start);
    }
    throw Fault(start == text.size() ? "Single '{' encountered in format string" : "expected '}' before end of string");
  }

  std::string field(std::string_view field, int depth) {
    std::size_t name_end = 0;
    while (name_end < field.size() && field[name_end] != '!' && field[name_end] != ':') {
      if (field[name_end] == '[') name_end = std::min(field.find(']', name_end), field.size() - 1);
      ++name_end;
    }
    std::string_view rest = field.substr(name_end);
    Value value = look_up(field.substr(0, name_end));
    if (rest.starts_with('!')) {
      const char conversion = rest.size() > 1 ? rest[1] : '\0';
      if (conversion == 'r') {
        value = Value::string(budget_, repr(budget_, value));
      } else if (conversion == 'a') {
        value = Value::string(budget_, ascii(budget_, value));
      } else if (conversion == 's') {
        value = Value::string(budget_, to_text(budget_, value));
      } else {
        throw Fault("unknown conversion specifier in a format string");
      }
      rest.remove_prefix(2);
      if (!rest.empty() && rest.front() != ':') throw Fault("expected ':' after conversion specifier");
    }
    if (rest.starts_with(':')) rest.remove_prefix(1);
    const std::string spec = format(rest, depth + 1);
    if (escape_ == Escape::kNone) return format_value(budget_, value, spec);
    if (value.is_markup() && !spec.empty())
      throw Fault("Format specifier " + spec + " given, but text is marked as safe");
    return value.is_markup() ? value.text() : html_escape(budget_, format_value(budget_, value, spec));
  }

  /// name, name.attribute[item] or the same with a number, or nothing for the next argument.
  Value look_up(std::string_view path) {
    std::size_t at = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, at));
    while (at < path.size()) {
      const bool is_attribute = path[at] == '.';
      const std::size_t end =
          std::min(is_attribute ? path.find_first_of(".[", at + 1) : path.find(']', at), path.size());
      if (!is_attribute && end == path.size()) throw Fault("Missing ']' in format string");
      const std::string_view key = path.substr(at + 1, end - at - 1);
      if (key.empty()) throw Fault("Empty attribute in format string");
      const bool is_index = !is_attribute && key.find_first_not_of("0123456789") == std::string_view::npos;
      const Value name =
          is_index ? Value::integer(parse_integer(key, 10).value_or(0)) : Value::string(budget_, std::string(key));
      value = is_attribute ? get_attribute(budget_, value, name) : get_item(budget_, value, name);
      at = is_attribute ? end : end + 1;
    }
    return value;
  }

  Value argument(std::string_view name) {
    std::size_t index = 0;
    if (name.empty()) {
      if (numbering_ == Numbering::kManual) {
        throw Fault("cannot switch from manual field specification to automatic field numbering");
      }
      numbering_ = Numbering::kAutomatic;
      index = next_++;
    } else if (name.find_first_not_of("0123456789") == std::string_view::npos) {
      if (numbering_ == Numbering::kAutomatic) {
        throw Fault("cannot switch from automatic field numbering to manual field specification");
      }
      numbering_ = Numbering::kManual;
      index = static_cast<std::size_t>(parse_integer(name, 10).value_or(0));
    } else {
      for (const auto& [given, value] : arguments_.named) {
        if (given == name) return value;
      }
      throw Fault("KeyError: '" + std::string(name) + "'");
    }
    if (index >= arguments_.positional.size()) {
      throw Fault("tuple index out of range");
    }
    return arguments_.positional[index];
  }

  enum class Numbering { kUnknown, kAutomatic, kManual };

  Budget& budget_;
  const Arguments& arguments_;
  Escape escape_;
  Numbering numbering_ = Numbering::kUnknown;
  std::size_t next_ = 0;
};

}  // namespace

std::string format_percent(Budget& budget, const Value& format_value, const Value& values) {
  const std::string_view format = format_value.text();
  const Escape escape = format_value.is_markup() ? Escape::kHtml : Escape::kNone;
  PercentArguments arguments(values);
  TextBuffer out(budget);
  for (std::size_t at = 0; at < format.size();) {
    const std::size_t percent = std::min(format.find('%', at), format.size());
    out.append(format.substr(at, percent - at));
    at = percent + 1;
    if (percent == format.size()) break;
    std::optional<Value> value;
    if (at < format.size() && format[at] == '(') {
      const std::size_t end = format.find(')', at);
      if (end == std::string_view::npos) throw Fault("incomplete format key");
      value = arguments.named(budget, format.substr(at + 1, end - at - 1));
      at = end + 1;
    }
    Spec spec = parse_percent_spec(format, at, arguments);
    if (spec.type == '%') {
      out.append("%");
    } else {
      out.append(format_percent_value(budget, spec, value ? *value : arguments.next(), escape));
    }
  }
  arguments.require_all_used();
  return out.take();
}

std::string format_braces(Budget& budget, const Value& format, const Arguments& arguments) {
  return BraceFormatter(budget, arguments, format.is_markup() ? Escape::kHtml : Escape::kNone).format(format.text(), 1);
}

}  // namespace megalith::jinja
