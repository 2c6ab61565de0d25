#include "text/jinja/number_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/budget.h"
#include "text/jinja/strings.h"

namespace megalith::jinja {
namespace {

std::string special_text(double value) {
  if (std::isnan(value)) return "nan";
  return value < 0 ? "-inf" : "inf";
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/// Removes a 0x, 0o or 0b that fits the base; with base 0 the prefix decides the base.
std::string_view strip_prefix(std::string_view digits, int& base) {
  int prefix_base = 0;
  if (digits.size() > 2 && digits[0] == '0') {
    switch (digits[1] | 0x20) {
      case 'x':
        prefix_base = 16;
        break;
      case 'o':
        prefix_base = 8;
        break;
      case 'b':
        prefix_base = 2;
        break;
      default:
        break;
    }
  }
  if (prefix_base != 0 && (base == 0 || base == prefix_base)) {
    base = prefix_base;
    digits.remove_prefix(digits[2] == '_' ? 3 : 2);
  } else if (base == 0) {
    base = 10;
  }
  return digits;
}

/// Python allows single underscores between digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string result;
  char previous = '_';
  for (char c : text) {
    if (c == '_') {
      if (previous < '0' || previous > '9') return std::nullopt;
    } else {
      if (previous == '_' && !result.empty() && (c < '0' || c > '9')) return std::nullopt;
      result.push_back(c);
    }
    previous = c;
  }
  if (!text.empty() && text.back() == '_') return std::nullopt;
  return result;
}

}  // namespace

std::string float_text(double value) {
  if (!std::isfinite(value)) return special_text(value);
  std::array<char, 32> buffer;
  // "d.ddde+XX": the digits and the exponent, from which Python's own layout is made.
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view scientific(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t mark = scientific.find('e');
  int exponent = 0;
  const char* exponent_start = scientific.data() + mark + (scientific[mark + 1] == '+' ? 2 : 1);
  std::from_chars(exponent_start, end.ptr, exponent);
  const bool negative = scientific[0] == '-';
  std::string digits;
  for (char c : scientific.substr(0, mark)) {
    if (c >= '0' && c <= '9') digits.push_back(c);
  }
  std::string result = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    result += digits.substr(0, 1);
    if (digits.size() > 1) result.append(1, '.').append(digits, 1);
    result += exponent < 0 ? "e-" : "e+";
    const std::string magnitude = std::to_string(std::abs(exponent));
    if (magnitude.size() < 2) result += '0';
    result += magnitude;
  } else if (exponent < 0) {
    result.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0').append(digits);
  } else {
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() < whole) digits.append(whole - digits.size(), '0');
    const std::string fraction = digits.substr(whole);
    result.append(digits, 0, whole).append(1, '.').append(fraction.empty() ? "0" : fraction);
  }
  return result;
}

std::string fixed_text(double value, int precision) {
  if (!std::isfinite(value)) return special_text(value);
  std::array<char, 400 + kMaxPrecision> buffer;
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, precision);
  return std::string(buffer.data(), end.ptr);
}

std::optional<BigInteger> parse_big_integer(std::string_view text, int base) {
  text = strip(text, Side::kBoth);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string_view digits = strip_prefix(text, base);
  if (digits.empty() || digits.front() == '_' || digits.back() == '_') return std::nullopt;
  char previous = '0';
  for (char c : digits) {
    if (c == '_' ? previous == '_' : digit_value(c) >= base) return std::nullopt;
    previous = c;
  }
  std::string plain(digits);
  std::erase(plain, '_');
  BigInteger result;
  if (base == 10) {
    plain.erase(0, std::min(plain.find_first_not_of('0'), plain.size()));
    result = BigInteger::from_decimal(plain);
  } else {
    constexpr std::uint32_t kMostFactor = 1'000'000'000 / 36;
    std::uint32_t factor = 1, part = 0;  // some digits at a time, or the cost of long numbers would be felt
    for (std::size_t i = 0; i < plain.size(); ++i) {
      factor *= static_cast<std::uint32_t>(base);
      part = part * static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(digit_value(plain[i]));
      if (factor < kMostFactor && i + 1 < plain.size()) continue;
      result.multiply_and_add(factor, part);
      factor = 1;
      part = 0;
    }
  }
  return negative ? result.negated() : result;
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  const std::optional<BigInteger> integer = parse_big_integer(text, base);
  if (!integer) return std::nullopt;
  const std::optional<std::int64_t> small = integer->small();
  if (!small) throw Fault("Python int too large to convert to C ssize_t");
  return small;
}

std::optional<double> parse_float(std::string_view text) {
  const std::optional<std::string> stripped = without_underscores(strip(text, Side::kBoth));
  if (!stripped) return std::nullopt;
  std::string_view digits = *stripped;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || digits.front() == '-' || digits.front() == '+') return std::nullopt;
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ptr != digits.data() + digits.size()) return std::nullopt;
  if (digits.find('(') != std::string_view::npos) return std::nullopt;  // from_chars would take nan(...)
  if (result.ec == std::errc::result_out_of_range) {
    const std::size_t mark = digits.find_first_of("eE");
    const bool tiny = (mark != std::string_view::npos && digits.substr(mark + 1).starts_with('-')) ||
                      digits[0] == '0' || digits[0] == '.';
    value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
  } else if (result.ec != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

double round_to(double value, int precision) {
  if (!std::isfinite(value)) return value;
  if (precision > 330) return value;
  if (precision < -310) return std::copysign(0.0, value);
  if (precision >= 0) return parse_float(fixed_text(value, precision)).value_or(value);
  // Tens, hundreds, ...: the value is first made whole, exactly, and its last digits decide.
  const double unit = std::pow(10.0, -precision);
  double rounded = std::nearbyint(value / unit);
  if (std::fabs(value / unit - std::trunc(value / unit)) == 0.5) rounded = 2.0 * std::round(value / unit / 2.0);
  return rounded * unit;
}

}  // namespace megalith::jinja
