#pragma once
// Calling things: arguments, and the one row type that the tables of filters, tests, methods and globals share.
#include <array>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace megalith::jinja {

/// What a template can see besides its variables.
struct Environment {
  Budget& budget;
  std::tm now;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Builtin;

/// A call of a builtin, its arguments bound to the parameters.
class Call {
 public:
  Call(const Environment& where, const Builtin& what, Arguments arguments);

  const Environment& environment;
  Budget& budget;

  /// Was parameter number `index` given?
  bool has(std::size_t index) const { return bound_[index] != nullptr; }
  /// Parameter number `index`; it must be a required one, or has() must be true.
  const Value& operator[](std::size_t index) const { return *bound_[index]; }
  Value value_or(std::size_t index, Value otherwise) const { return has(index) ? *bound_[index] : otherwise; }

  // Conversions that fault, naming the builtin, if the argument is of another type.
  const std::string& text(std::size_t index) const;
  std::int64_t integer(std::size_t index) const;
  std::int64_t integer_or(std::size_t index, std::int64_t otherwise) const;
  bool flag(std::size_t index) const { return has(index) && is_true(*bound_[index]); }
  /// Not given and None mean the same to many of Python's functions.
  bool given(std::size_t index) const { return has(index) && !bound_[index]->is_none(); }

  /// Arguments beyond the parameters; empty unless the row says otherwise.
  std::span<const Value> rest() const;
  std::span<const std::pair<std::string, Value>> named_rest() const { return named_rest_; }
  Arguments rest_from(std::size_t index) const;

  Value string(std::string text) const { return Value::string(budget, std::move(text)); }
  /// Marked as safe if parameter 0 is.
  Value same_string(std::string text) const {
    return bound_[0]->is_markup() ? Value::markup(budget, std::move(text)) : string(std::move(text));
  }
  /// The text of parameter `index`, escaped if parameter 0 is marked as safe.
  std::string joining_text(std::size_t index) const {
    return bound_[0]->is_markup() && bound_[index]->is_string() ? to_escaped_text(budget, *bound_[index]) : text(index);
  }
  [[noreturn]] void fail(const std::string& message) const;

 private:
  static constexpr std::size_t kMaxParameters = 6;

  const Builtin& builtin_;
  Arguments arguments_;
  std::array<const Value*, kMaxParameters> bound_{};
  std::size_t positional_count_ = 0;  // positional arguments that went to parameters
  std::vector<std::pair<std::string, Value>> named_rest_;
};

/// A function written in C++. For a filter or a test, parameter 0 is the value it is applied to; for a method, the
/// object.
struct Builtin {
  enum class Rest { kNone, kPositional, kAny };
  std::string_view name;
  Value (*function)(const Call&);
  std::array<std::string_view, 6> parameters;  // unused ones are empty
  std::size_t required = 1;                    // how many of them must be given
  Rest rest = Rest::kNone;                     // what else may be given
};

Value invoke(const Environment& environment, const Builtin& builtin, Arguments arguments);

/// The row of that name, or nullptr.
const Builtin* find_builtin(std::span<const Builtin> table, std::string_view name);

}  // namespace megalith::jinja
