#pragma once
// The four tables of what a template may call by name. Each lives in the file that implements its rows.
#include <span>

#include "text/jinja/call.h"

namespace megalith::jinja {

std::span<const Builtin> filters();  // value|name
std::span<const Builtin> tests();    // value is name
std::span<const Builtin> globals();  // name(...)
/// Of the value's type: object.name(...)
std::span<const Builtin> methods_of(const Value& object);

}  // namespace megalith::jinja
