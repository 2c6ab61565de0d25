#include "text/jinja/call.h"

#include <algorithm>

namespace megalith::jinja {

Call::Call(const Environment& where, const Builtin& what, Arguments arguments)
    : environment(where), budget(where.budget), builtin_(what), arguments_(std::move(arguments)) {
  const auto& parameters = builtin_.parameters;
  const auto past = std::find(parameters.begin(), parameters.end(), std::string_view());
  const auto parameter_count = static_cast<std::size_t>(past - parameters.begin());
  positional_count_ = std::min(parameter_count, arguments_.positional.size());
  if (arguments_.positional.size() > parameter_count && builtin_.rest == Builtin::Rest::kNone) {
    fail("takes at most " + std::to_string(parameter_count) + " arguments, " +
         std::to_string(arguments_.positional.size()) + " given");
  }
  budget.spend(1);
  for (std::size_t i = 0; i < positional_count_; ++i) {
    bound_[i] = &arguments_.positional[i];
    if (bound_[i]->is_string()) budget.spend_bytes(bound_[i]->text().size());
  }
  for (const auto& [name, value] : arguments_.named) {
    const auto found = std::find(parameters.begin(), past, name);
    const auto index = static_cast<std::size_t>(found - parameters.begin());
    if (found == past) {
      if (builtin_.rest != Builtin::Rest::kAny) fail("got an unexpected keyword argument '" + name + "'");
      named_rest_.emplace_back(name, value);
    } else if (bound_[index] != nullptr) {
      fail("got multiple values for argument '" + name + "'");
    } else {
      bound_[index] = &value;
    }
  }
  for (std::size_t i = 0; i < builtin_.required; ++i) {
    if (bound_[i] == nullptr) fail("missing required argument '" + std::string(parameters[i]) + "'");
  }
}

const std::string& Call::text(std::size_t index) const {
  require_defined(*bound_[index]);
  if (!bound_[index]->is_string()) {
    fail("argument '" + std::string(builtin_.parameters[index]) + "' must be str, not " +
         std::string(type_name(*bound_[index])));
  }
  return bound_[index]->text();
}

std::int64_t Call::integer(std::size_t index) const {
  require_defined(*bound_[index]);
  if (bound_[index]->is(Type::kBigInteger)) fail("got an integer that is too large");
  if (!bound_[index]->is_integral()) {
    fail("'" + std::string(type_name(*bound_[index])) + "' object cannot be interpreted as an integer");
  }
  return bound_[index]->as_integer();
}

std::int64_t Call::integer_or(std::size_t index, std::int64_t otherwise) const {
  return has(index) ? integer(index) : otherwise;
}

std::span<const Value> Call::rest() const { return std::span(arguments_.positional).subspan(positional_count_); }

Arguments Call::rest_from(std::size_t index) const {
  Arguments result;
  const auto given = std::span(rest()).subspan(std::min(index, rest().size()));
  result.positional.assign(given.begin(), given.end());
  result.named = named_rest_;
  return result;
}

void Call::fail(const std::string& message) const { throw Fault(std::string(builtin_.name) + "() " + message); }

Value invoke(const Environment& environment, const Builtin& builtin, Arguments arguments) {
  return builtin.function(Call(environment, builtin, std::move(arguments)));
}

const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Builtin& row) { return row.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace megalith::jinja
