#pragma once
// What Python's operators and Jinja's two ways of looking into an object do with values.
#include <optional>

#include "text/jinja/ast.h"
#include "text/jinja/call.h"

namespace megalith::jinja {

Value apply_unary(Budget& budget, ast::Unary::Operator op, const Value& operand);
Value apply_binary(Budget& budget, ast::Binary::Operator op, const Value& left, const Value& right);
bool apply_comparison(Budget& budget, ast::Comparison::Operator op, const Value& left, const Value& right);

/// object.name: a method or attribute of the type first, then an item. Undefined if there is neither, or if the
/// sandbox forbids it.
Value get_attribute(Budget& budget, const Value& object, const Value& name);
/// object[key]: an item first, then an attribute.
Value get_item(Budget& budget, const Value& object, const Value& key);
/// object[start:stop:step]; None stands for a bound that is not given.
Value get_slice(Budget& budget, const Value& object, const Value& start, const Value& stop, const Value& step);

/// A path like "address.city" or 0, of items, as the filters' `attribute` argument means it. `otherwise` replaces what
/// is undefined on the way.
Value get_path(Budget& budget, const Value& object, const Value& path, const Value* otherwise = nullptr);

}  // namespace megalith::jinja
