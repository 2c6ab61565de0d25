#pragma once
// Python's two ways to format: "%s" % values, and "{}".format(values) with its little language for widths and digits.
#include <string>
#include <string_view>

#include "text/jinja/call.h"

namespace megalith::jinja {

/// format % values, where values is a tuple, a dict (for %(name)s) or the one value.
std::string format_percent(Budget& budget, std::string_view format, const Value& values);

/// format.format(*arguments.positional, **arguments.named), fields looked up as the sandbox does.
std::string format_braces(Budget& budget, std::string_view format, const Arguments& arguments);

}  // namespace megalith::jinja
