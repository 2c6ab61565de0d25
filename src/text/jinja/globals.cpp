// The functions that every template can call: namespace(...), range(...), raise_exception(...), ...
#include <algorithm>

#include "text/jinja/tables.h"

namespace megalith::jinja {
namespace {

/// dict(mapping or pairs, key=value, ...)
Value::Entries collect_entries(const Call& call) {
  DictBuilder builder(call.budget);
  if (call.has(0)) require_defined(call[0]);
  if (call.has(0) && call[0].is(Type::kDict)) {
    for (const auto& [key, value] : call[0].entries()) builder.set(key, value);
  } else if (call.has(0)) {
    const auto pairs = elements_of(call.budget, call[0]);
    for (const Value& pair : pairs->items) {
      const auto parts = elements_of(call.budget, pair);
      if (parts->items.size() != 2) call.fail("needs pairs of a key and a value");
      builder.set(parts->items[0], parts->items[1]);
    }
  }
  for (const auto& [name, value] : call.named_rest()) builder.set(call.string(name), value);
  return builder.take();
}

Value make_dict(const Call& call) { return Value::dict(call.budget, collect_entries(call)); }

Value make_namespace(const Call& call) {
  return Value::object(Type::kNamespace, std::make_shared<NamespaceObject>(call.budget, collect_entries(call)));
}

Value make_range(const Call& call) {
  const std::int64_t first = call.integer(0);
  const std::int64_t step = call.integer_or(2, 1);
  if (step == 0) call.fail("arg 3 must not be zero");
  const auto range = call.has(1) ? std::make_shared<RangeObject>(call.budget, first, call.integer(1), step)
                                 : std::make_shared<RangeObject>(call.budget, 0, first, 1);
  return Value::object(Type::kRange, range);
}

Value raise_exception(const Call& call) { throw Fault(to_text(call.budget, call[0]), Fault::Origin::kConversation); }

/// The format without %Z and %z: Python's local time does not know its zone, and they print nothing.
std::string without_zone(const std::string& format) {
  std::string result;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      result.push_back(format[at]);
    } else if (const char kind = format[++at]; kind == 'f') {
      result.append("000000");  // microseconds
    } else if (kind != 'Z' && kind != 'z') {
      result.append(1, '%').append(1, kind);
    }
  }
  return result;
}

Value strftime_now(const Call& call) {
  const std::string format = without_zone(call.text(0));
  constexpr std::size_t kMaxFormat = 1024, kLongestField = 64;
  if (format.size() > kMaxFormat) call.fail("got a format of more than 1024 bytes");
  if (format.empty()) return call.string({});
  std::string text(format.size() * kLongestField, '\0');
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &call.environment.now));
  return call.string(std::move(text));
}

Value make_joiner(const Call& call) {
  const Value separator = call.value_or(0, call.string(", "));
  return Value::object(Type::kJoiner, std::make_shared<JoinerObject>(call.budget, separator));
}

Value make_cycler(const Call& call) {
  std::vector<Value> items(call.rest().begin(), call.rest().end());
  if (items.empty()) call.fail("at least one item has to be provided");
  return Value::object(Type::kCycler, std::make_shared<CyclerObject>(call.budget, std::move(items)));
}

constexpr Builtin kGlobals[] = {
    {"range", make_range, {"start", "stop", "step"}, 1},
    {"dict", make_dict, {"(mapping)"}, 0, Builtin::Rest::kAny},
    {"namespace", make_namespace, {"(mapping)"}, 0, Builtin::Rest::kAny},
    {"cycler", make_cycler, {}, 0, Builtin::Rest::kPositional},
    {"joiner", make_joiner, {"sep"}, 0},
    {"raise_exception", raise_exception, {"message"}},
    {"strftime_now", strftime_now, {"format"}},
};

}  // namespace

std::span<const Builtin> globals() { return kGlobals; }

}  // namespace megalith::jinja
