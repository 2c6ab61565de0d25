#include "text/jinja/loop.h"

#include <algorithm>

namespace megalith::jinja {

LoopObject::LoopObject(Budget& budget, std::uint32_t depth_of_elements, Source elements,
                       std::optional<std::int64_t> known_length)
    : Object(budget, sizeof(*this), depth_of_elements + 1), source_(std::move(elements)), length_(known_length) {}

std::optional<Value> LoopObject::pull() const {
  if (drained_.empty()) return source_ ? source_() : std::nullopt;
  Value next = std::move(drained_.back());
  drained_.pop_back();
  return next;
}

const std::optional<Value>& LoopObject::peek() const {
  if (!after_) after_ = pull();
  return after_;
}

bool LoopObject::advance() const {
  std::optional<Value> next = after_ ? std::exchange(after_, std::nullopt) : pull();
  if (!next) return false;
  before_ = index0 >= 0 ? std::optional(std::move(current)) : std::nullopt;
  current = std::move(*next);
  ++index0;
  return true;
}

void LoopObject::finish() const {
  source_ = nullptr;
  recurse = nullptr;
  current = Value();
  drained_.clear();
  after_.reset();
  before_.reset();
  last_changed_.reset();
}

std::int64_t LoopObject::length(Budget& budget) const {
  if (!length_) {
    while (std::optional<Value> element = source_ ? source_() : std::nullopt) {
      budget.spend(1);
      drained_.push_back(std::move(*element));
    }
    std::reverse(drained_.begin(), drained_.end());
    length_ = index0 + 1 + static_cast<std::int64_t>(drained_.size()) + (after_ ? 1 : 0);
  }
  return *length_;
}

std::optional<Value> LoopObject::attribute(Budget& budget, std::string_view name) const {
  if (name == "index") return Value::integer(index0 + 1);
  if (name == "index0") return Value::integer(index0);
  if (name == "first") return Value::boolean(index0 == 0);
  if (name == "last") return Value::boolean(!peek());
  if (name == "length") return Value::integer(length(budget));
  if (name == "revindex") return Value::integer(length(budget) - index0);
  if (name == "revindex0") return Value::integer(length(budget) - index0 - 1);
  if (name == "depth") return Value::integer(depth0 + 1);
  if (name == "depth0") return Value::integer(depth0);
  if (name == "previtem") return before_ ? *before_ : Value::undefined(budget, "there is no previous item");
  if (name == "nextitem") return peek() ? *peek() : Value::undefined(budget, "there is no next item");
  return std::nullopt;
}

bool LoopObject::changed(Budget& budget, std::vector<Value> values) const {
  const auto same = [&](const Value& a, const Value& b) { return equal(budget, a, b); };
  const bool is_same =
      last_changed_ && std::equal(values.begin(), values.end(), last_changed_->begin(), last_changed_->end(), same);
  if (!is_same) last_changed_ = std::move(values);
  return !is_same;
}

}  // namespace megalith::jinja
