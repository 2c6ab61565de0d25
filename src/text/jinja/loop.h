#pragma once
// The `loop` variable of a for statement.
#include <functional>
#include <optional>

#include "text/jinja/value.h"

namespace megalith::jinja {

/// Walks the elements, one ahead of the body where the body asks for it. Filters run as late as in Jinja2.
struct LoopObject : Object {
  /// Gives the next element, or nothing.
  using Source = std::function<std::optional<Value>()>;
  /// Renders the loop again over other elements, one level deeper; only in a recursive loop.
  using Recurse = std::function<Value(const Value& iterable)>;

  LoopObject(Budget& budget, std::uint32_t depth_of_elements, Source elements,
             std::optional<std::int64_t> known_length);

  /// Moves to the next element; false at the end.
  bool advance() const;
  /// Forgets everything, so that a loop variable that outlives its loop keeps nothing alive.
  void finish() const;

  /// index, first, last, previtem, ...; nothing if there is no such attribute.
  std::optional<Value> attribute(Budget& budget, std::string_view name) const;
  std::int64_t length(Budget& budget) const;
  /// Have the values changed since the last call?
  bool changed(Budget& budget, std::vector<Value> values) const;

  mutable Recurse recurse;
  mutable Value current;
  mutable std::int64_t index0 = -1;
  mutable std::int64_t depth0 = 0;

 private:
  std::optional<Value> pull() const;
  const std::optional<Value>& peek() const;

  mutable Source source_;
  mutable std::vector<Value> drained_;  // pulled to learn the length, last first
  mutable std::optional<Value> after_, before_;
  mutable std::optional<std::vector<Value>> last_changed_;
  mutable std::optional<std::int64_t> length_;
};

}  // namespace megalith::jinja
