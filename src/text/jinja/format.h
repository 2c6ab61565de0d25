#pragma once
// Python's two ways to format: "%s" % values, and "{}".format(values) with its little language for widths and digits.
#include <string>
#include <string_view>

#include "text/jinja/call.h"

namespace megalith::jinja {

/// format % values, where values is a tuple, a dict (for %(name)s) or the one value.
/// Values are escaped as HTML if the format is marked as safe.
std::string format_percent(Budget& budget, const Value& format, const Value& values);

/// format.format(*arguments.positional, **arguments.named), fields looked up as the sandbox does.
std::string format_braces(Budget& budget, const Value& format, const Arguments& arguments);

}  // namespace megalith::jinja
