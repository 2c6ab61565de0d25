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
    spec.align = '=';
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

std::string group(std::string digits, char separator) {
  if (separator == '\0') return digits;
  const std::size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  for (std::size_t at = whole; at > 3;) {
    at -= 3;
    digits.insert(at, 1, separator);
  }
  return digits;
}

/// Sign and digits, brought to the width: the filling may go between the two.
std::string place_number(Budget& budget, const Spec& spec, bool is_negative, std::string_view prefix,
                         const std::string& digits) {
  std::string sign = is_negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  sign += prefix;
  const char align = spec.align == '\0' ? '>' : spec.align;
  if (align != '=') {
    const Side side = align == '<' ? Side::kLeft : Side::kRight;
    if (align != '^') return pad(budget, sign + digits, spec.width, spec.fill, side);
    const std::int64_t missing = spec.width - static_cast<std::int64_t>(sign.size() + digits.size());
    return repeat(budget, spec.fill, missing / 2) + sign + digits + repeat(budget, spec.fill, missing - missing / 2);
  }
  return sign + pad(budget, digits, spec.width - static_cast<std::int64_t>(sign.size()), spec.fill, Side::kRight);
}

std::string format_text(Budget& budget, const Spec& spec, std::string_view text) {
  if (spec.align == '=') throw Fault("'=' alignment not allowed in string format specifier");
  if (spec.precision >= 0) text = text.substr(0, byte_offset(text, static_cast<std::size_t>(spec.precision)));
  if (spec.align == '>') return pad(budget, text, spec.width, spec.fill, Side::kRight);
  if (spec.align != '^') return pad(budget, text, spec.width, spec.fill, Side::kLeft);
  const std::int64_t missing = spec.width - static_cast<std::int64_t>(count_code_points(text));
  return repeat(budget, spec.fill, missing / 2) + std::string(text) + repeat(budget, spec.fill, missing - missing / 2);
}

std::string format_float(Budget& budget, const Spec& spec, double value) {
  const bool is_negative = std::signbit(value) && !std::isnan(value);
  double magnitude = std::fabs(value);
  const char type = static_cast<char>(spec.type | (spec.type == '\0' ? 0 : 0x20));
  std::string digits;
  if (spec.type == '%') magnitude *= 100;
  if (!std::isfinite(magnitude) || (spec.type == '\0' && spec.precision < 0)) {
    digits = float_text(magnitude);
  } else if (type == 'f' || spec.type == '%') {
    digits = fixed_text(magnitude, spec.precision < 0 ? 6 : spec.precision);
  } else {
    std::array<char, kMaxPrecision + 64> buffer;
    const auto style = type == 'e' ? std::chars_format::scientific : std::chars_format::general;
    const int precision = spec.precision < 0 ? 6 : spec.precision;
    digits.assign(buffer.data(),
                  std::to_chars(buffer.data(), buffer.data() + buffer.size(), magnitude, style, precision).ptr);
  }
  if (spec.type == '%') digits += '%';
  if (spec.type >= 'A' && spec.type <= 'Z') digits = to_upper(digits);
  return place_number(budget, spec, is_negative, "", group(digits, spec.grouping));
}

std::string format_integer(Budget& budget, const Spec& spec, std::int64_t value) {
  if (spec.type == 'c') {
    std::string character;
    if (value < 0 || value > 0x10FFFF) throw Fault("%c arg not in range(0x110000)");
    append_code_point(character, static_cast<char32_t>(value));
    return format_text(budget, spec, character);
  }
  const auto magnitude = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  const int base = spec.type == 'b' ? 2 : spec.type == 'o' ? 8 : (spec.type | 0x20) == 'x' ? 16 : 10;
  std::array<char, 64> buffer;
  std::string digits(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), magnitude, base).ptr);
  if (spec.type == 'X') digits = to_upper(digits);
  const std::string prefix = spec.alternate && base != 10 ? std::string{'0', spec.type} : "";
  return place_number(budget, spec, value < 0, prefix, group(digits, spec.grouping));
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
  if (value.is(Type::kBoolean) && spec.type == '\0') return format_text(budget, spec, to_text(budget, value));
  if (value.is(Type::kFloat) || (value.is_integral() && wants_float)) {
    require(spec.type == '\0' || wants_float || spec.type == 'n');
    return format_float(budget, spec, value.as_float());
  }
  if (value.is_integral()) {
    require(spec.type != 's');
    return format_integer(budget, spec, value.as_integer());
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

std::string format_percent_value(Budget& budget, Spec& spec, const Value& value) {
  switch (spec.type) {
    case 's':
      return format_text(budget, spec, to_text(budget, value));
    case 'r':
    case 'a':
      return format_text(budget, spec, repr(budget, value));
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
  if (!value.is(Type::kFloat)) return format_integer(budget, spec, value.as_integer());
  if (!(std::fabs(value.as_float()) < 9e18)) throw Fault("an integer does not fit 64 bits");
  return format_integer(budget, spec, static_cast<std::int64_t>(value.as_float()));
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
  return spec;
}

/// str.format: text with fields in braces.
class BraceFormatter {
 public:
  BraceFormatter(Budget& budget, const Arguments& arguments) : budget_(budget), arguments_(arguments) {}

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
      } else if (conversion == 's') {
        value = Value::string(budget_, to_text(budget_, value));
      } else {
        throw Fault("unknown conversion specifier in a format string");
      }
      rest.remove_prefix(2);
      if (!rest.empty() && rest.front() != ':') throw Fault("expected ':' after conversion specifier");
    }
    if (rest.starts_with(':')) rest.remove_prefix(1);
    return format_value(budget_, value, format(rest, depth + 1));
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
  Numbering numbering_ = Numbering::kUnknown;
  std::size_t next_ = 0;
};

}  // namespace

std::string format_percent(Budget& budget, std::string_view format, const Value& values) {
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
      out.append(format_percent_value(budget, spec, value ? *value : arguments.next()));
    }
  }
  arguments.require_all_used();
  return out.take();
}

std::string format_braces(Budget& budget, std::string_view format, const Arguments& arguments) {
  return BraceFormatter(budget, arguments).format(format, 1);
}

}  // namespace megalith::jinja
