#pragma once
// Numbers as Python writes and reads them.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/big_integer.h"

namespace megalith::jinja {

/// repr(float): the shortest digits that read back as the same number.
std::string float_text(double value);
/// "%.<precision>f", exactly rounded. `precision` is at most kMaxPrecision.
std::string fixed_text(double value, int precision);
inline constexpr int kMaxPrecision = 1000;

/// int(text, base), base 0 or 2..36: surrounding space, sign, underscores and prefix allowed. Nothing if the text is no
/// integer; the second faults if it is one of more than 64 bits.
std::optional<BigInteger> parse_big_integer(std::string_view text, int base);
std::optional<std::int64_t> parse_integer(std::string_view text, int base);
/// float(text), with inf and nan.
std::optional<double> parse_float(std::string_view text);

/// round(value, precision) of Python: half to even on the exact decimal value.
double round_to(double value, int precision);

}  // namespace megalith::jinja
