#include "text/jinja/value.h"

#include <algorithm>

#include "text/jinja/call.h"
#include "text/jinja/code_points.h"

namespace megalith::jinja {
namespace {

std::uint32_t depth_around(const std::vector<Value>& items) {
  std::uint32_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

std::uint32_t depth_around(const Value::Entries& entries) {
  std::uint32_t depth = 0;
  for (const auto& [key, value] : entries) depth = std::max({depth, key.depth(), value.depth()});
  return depth + 1;
}

std::size_t bytes_of(const std::vector<Value>& items) { return items.capacity() * sizeof(Value); }
std::size_t bytes_of(const Value::Entries& entries) { return entries.capacity() * 2 * sizeof(Value); }

}  // namespace

Object::Object(Budget& budget, std::size_t bytes, std::uint32_t depth) : budget_(budget), bytes_(bytes), depth_(depth) {
  if (depth > kMaxValueDepth) throw Fault("a value is nested too deeply");
  budget.reserve(bytes);
}

UndefinedObject::UndefinedObject(Budget& budget, std::string message_text)
    : Object(budget, sizeof(*this) + message_text.capacity(), 0), message(std::move(message_text)) {}

StringObject::StringObject(Budget& budget, std::string value, Kind which)
    : Object(budget, sizeof(*this) + value.capacity(), 0),
      text(std::move(value)),
      code_points(count_code_points(text)),
      kind(which) {
  budget.spend_bytes(text.size());
}

BigIntegerObject::BigIntegerObject(Budget& budget, BigInteger number)
    : Object(budget, sizeof(*this) + number.limb_count() * sizeof(std::uint32_t), 0), value(std::move(number)) {
  budget.spend(1 + value.limb_count() / 4);
}

SequenceObject::SequenceObject(Budget& budget, std::vector<Value> values)
    : Object(budget, sizeof(*this) + bytes_of(values), depth_around(values)), items(std::move(values)) {
  budget.spend(1 + items.size() / 4);
}

DictObject::DictObject(Budget& budget, Value::Entries values)
    : Object(budget, sizeof(*this) + bytes_of(values), depth_around(values)), entries(std::move(values)) {
  budget.spend(1 + entries.size() / 4);
}

RangeObject::RangeObject(Budget& budget, std::int64_t first, std::int64_t past, std::int64_t by)
    : Object(budget, sizeof(*this), 0), start(first), stop(past), step(by), length(0) {
  // Unsigned, because the distance of two int64 may not fit one.
  const auto distance = [](std::int64_t from, std::int64_t to) {
    return static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
  };
  std::uint64_t count = 0;
  if (step > 0 && start < stop) count = (distance(start, stop) - 1) / static_cast<std::uint64_t>(step) + 1;
  if (step < 0 && start > stop) count = (distance(stop, start) - 1) / (0 - static_cast<std::uint64_t>(step)) + 1;
  constexpr std::uint64_t kMaxRange = 100000;  // as Jinja2's sandbox has it
  if (count > kMaxRange) {
    throw Fault("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  length = static_cast<std::int64_t>(count);
}

ViewObject::ViewObject(Budget& budget, Part which, Value of)
    : Object(budget, sizeof(*this), of.depth() + 1), part(which), dict(std::move(of)) {}

IteratorObject::IteratorObject(Budget& budget, std::vector<Value> values)
    : Object(budget, sizeof(*this) + bytes_of(values), depth_around(values)), items(std::move(values)) {
  budget.spend(1 + items.size() / 4);
}

NamespaceObject::NamespaceObject(Budget& budget, Value::Entries values) : Object(budget, sizeof(*this), 0) {
  for (auto& [name, value] : values) set(budget, name, std::move(value));
}

void NamespaceObject::set(Budget& budget, const Value& name, Value value) const {
  if (name.is_string() && name.text().starts_with('_')) {
    throw Fault("Chat templates cannot store underscore-prefixed attributes on a namespace, but got " +
                repr(budget, name) + ". Please rename the attribute.");
  }
  DictBuilder builder(budget, std::move(attributes));
  builder.set(name, std::move(value));
  attributes = builder.take();
}

FunctionObject::FunctionObject(Budget& budget, const Builtin& function, Value bound_to)
    : Object(budget, sizeof(*this), bound_to.depth() + 1), builtin(function), self(std::move(bound_to)) {}

MacroObject::MacroObject(Budget& budget, const ast::MacroBody& code, std::shared_ptr<Scope> defined_in)
    : Object(budget, sizeof(*this), 0), body(code), scope(std::move(defined_in)) {}

JoinerObject::JoinerObject(Budget& budget, Value separator_value)
    : Object(budget, sizeof(*this), separator_value.depth() + 1), separator(std::move(separator_value)) {}

CyclerObject::CyclerObject(Budget& budget, std::vector<Value> values)
    : Object(budget, sizeof(*this) + bytes_of(values), depth_around(values)), items(std::move(values)) {}

TemplateReferenceObject::TemplateReferenceObject(Budget& budget) : Object(budget, sizeof(*this), 0) {}

Value Value::boolean(bool value) {
  Value result;
  result.type_ = Type::kBoolean;
  result.integer_ = value ? 1 : 0;
  return result;
}

Value Value::integer(std::int64_t value) {
  Value result;
  result.type_ = Type::kInteger;
  result.integer_ = value;
  return result;
}

Value Value::integer(Budget& budget, BigInteger value) {
  if (const std::optional<std::int64_t> small = value.small()) return integer(*small);
  return Value(Type::kBigInteger, std::make_shared<BigIntegerObject>(budget, std::move(value)));
}

BigInteger Value::as_big_integer() const {
  return type_ == Type::kBigInteger ? as<BigIntegerObject>().value : BigInteger(integer_);
}

Value Value::number(double value) {
  Value result;
  result.type_ = Type::kFloat;
  result.float_ = value;
  return result;
}

Value Value::string(Budget& budget, std::string text) {
  return Value(Type::kString, std::make_shared<StringObject>(budget, std::move(text)));
}

Value Value::markup(Budget& budget, std::string text) {
  return Value(Type::kString, std::make_shared<StringObject>(budget, std::move(text), StringObject::Kind::kMarkup));
}

bool Value::is_markup() const { return is_string() && string_object().kind == StringObject::Kind::kMarkup; }

Value Value::list(Budget& budget, std::vector<Value> items) {
  return Value(Type::kList, std::make_shared<SequenceObject>(budget, std::move(items)));
}

Value Value::list(std::shared_ptr<const SequenceObject> items) { return Value(Type::kList, std::move(items)); }

Value Value::tuple(Budget& budget, std::vector<Value> items) {
  return Value(Type::kTuple, std::make_shared<SequenceObject>(budget, std::move(items)));
}

Value Value::dict(Budget& budget, Entries entries) {
  return Value(Type::kDict, std::make_shared<DictObject>(budget, std::move(entries)));
}

Value Value::iterator(Budget& budget, std::vector<Value> items) {
  return Value(Type::kIterator, std::make_shared<IteratorObject>(budget, std::move(items)));
}

Value Value::function(Budget& budget, const Builtin& builtin) {
  return Value(Type::kFunction, std::make_shared<FunctionObject>(budget, builtin, Value()));
}

Value Value::method(Budget& budget, const Builtin& builtin, Value self) {
  return Value(Type::kFunction, std::make_shared<FunctionObject>(budget, builtin, std::move(self)));
}

Value Value::undefined(Budget& budget, std::string message) {
  return Value(Type::kUndefined, std::make_shared<UndefinedObject>(budget, std::move(message)));
}

Value Value::undefined_name(Budget& budget, std::string_view name) {
  return undefined(budget, std::string("'").append(name).append("' is undefined"));
}

Value Value::undefined_element(Budget& budget, const Value& object, const Value& key) {
  std::string owner = object.is_none() ? "None" : std::string(type_name(object)) + " object";
  if (key.is_string()) return undefined(budget, "'" + owner + "' has no attribute " + repr(budget, key));
  return undefined(budget, owner + " has no element " + repr(budget, key));
}

Value Value::object(Type type, std::shared_ptr<const Object> object) { return Value(type, std::move(object)); }

const std::string& Value::text() const { return as<StringObject>().text; }
const std::vector<Value>& Value::items() const { return as<SequenceObject>().items; }
const Value::Entries& Value::entries() const { return as<DictObject>().entries; }
std::shared_ptr<const SequenceObject> Value::sequence_object() const { return share<SequenceObject>(); }

void require_hashable(Budget& budget, const Value& value) {
  budget.spend(1);
  if (value.is(Type::kList) || value.is(Type::kDict)) {
    throw Fault("unhashable type: '" + std::string(type_name(value)) + "'");
  }
  if (!value.is(Type::kTuple)) return;
  for (const Value& item : value.items()) require_hashable(budget, item);
}

void DictBuilder::set(const Value& key, Value value) {
  require_hashable(budget_, key);
  if (const Value* found = find_entry(budget_, entries_, key)) {
    *const_cast<Value*>(found) = std::move(value);  // ours: find_entry only looks, hence its const
  } else {
    entries_.emplace_back(key, std::move(value));
  }
}

const Value* find_entry(Budget& budget, const Value::Entries& entries, const Value& key) {
  if (key.is_string()) return find_entry(budget, entries, key.text());
  budget.spend(entries.size() / 8);
  for (const auto& [candidate, value] : entries) {
    if (equal(budget, candidate, key)) return &value;
  }
  return nullptr;
}

const Value* find_entry(Budget& budget, const Value::Entries& entries, std::string_view key) {
  budget.spend(entries.size() / 8);
  for (const auto& [candidate, value] : entries) {
    if (candidate.is_string() && candidate.text() == key) {
      budget.spend_bytes(key.size());
      return &value;
    }
  }
  return nullptr;
}

std::string_view type_name(const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:
      return "Undefined";
    case Type::kNone:
      return "NoneType";
    case Type::kBoolean:
      return "bool";
    case Type::kInteger:
    case Type::kBigInteger:
      return "int";
    case Type::kFloat:
      return "float";
    case Type::kString:
      return "str";
    case Type::kList:
      return "list";
    case Type::kTuple:
      return "tuple";
    case Type::kDict:
      return "dict";
    case Type::kRange:
      return "range";
    case Type::kView:
      switch (value.as<ViewObject>().part) {
        case ViewObject::Part::kKeys:
          return "dict_keys";
        case ViewObject::Part::kValues:
          return "dict_values";
        case ViewObject::Part::kItems:
          return "dict_items";
      }
      return "dict_view";
    case Type::kIterator:
      return "generator";
    case Type::kNamespace:
      return "Namespace";
    case Type::kFunction:
      return "function";
    case Type::kMacro:
      return "Macro";
    case Type::kLoop:
      return "LoopContext";
    case Type::kJoiner:
      return "Joiner";
    case Type::kCycler:
      return "Cycler";
    case Type::kTemplateReference:
      return "TemplateReference";
  }
  return "object";
}

void fail_undefined(const Value& undefined) { throw Fault(undefined.as<UndefinedObject>().message); }

void require_defined(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
}

bool is_true(const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:
    case Type::kNone:
      return false;
    case Type::kBoolean:
    case Type::kInteger:
      return value.as_integer() != 0;
    case Type::kFloat:
      return value.as_float() != 0.0;
    default:
      return !has_length(value) || length_of(value) != 0;
  }
}

bool has_length(const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:
    case Type::kString:
    case Type::kList:
    case Type::kTuple:
    case Type::kDict:
    case Type::kRange:
    case Type::kView:
      return true;
    default:
      return false;
  }
}

std::int64_t length_of(const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:
      return 0;
    case Type::kString:
      return static_cast<std::int64_t>(value.string_object().code_points);
    case Type::kList:
    case Type::kTuple:
      return static_cast<std::int64_t>(value.items().size());
    case Type::kDict:
      return static_cast<std::int64_t>(value.entries().size());
    case Type::kRange:
      return value.as<RangeObject>().length;
    case Type::kView:
      return length_of(value.as<ViewObject>().dict);
    default:
      throw Fault("object of type '" + std::string(type_name(value)) + "' has no len()");
  }
}

bool is_iterable(const Value& value) { return has_length(value) || value.is(Type::kIterator) || value.is(Type::kLoop); }

namespace {

std::vector<Value> characters_of(Budget& budget, const std::string& text) {
  std::vector<Value> items;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    decode_code_point(text, at);
    items.push_back(Value::string(budget, text.substr(start, at - start)));
  }
  return items;
}

std::vector<Value> parts_of(Budget& budget, const Value::Entries& entries, ViewObject::Part part) {
  std::vector<Value> items;
  items.reserve(entries.size());
  for (const auto& [key, value] : entries) {
    switch (part) {
      case ViewObject::Part::kKeys:
        items.push_back(key);
        break;
      case ViewObject::Part::kValues:
        items.push_back(value);
        break;
      case ViewObject::Part::kItems:
        items.push_back(Value::tuple(budget, {key, value}));
        break;
    }
  }
  return items;
}

std::vector<Value> rest_of(const IteratorObject& iterator) {
  std::vector<Value> items(iterator.items.begin() + static_cast<std::ptrdiff_t>(iterator.next), iterator.items.end());
  iterator.next = iterator.items.size();
  return items;
}

}  // namespace

std::shared_ptr<const SequenceObject> elements_of(Budget& budget, const Value& value) {
  std::vector<Value> items;
  switch (value.type()) {
    case Type::kUndefined:
      break;
    case Type::kString:
      items = characters_of(budget, value.text());
      break;
    case Type::kList:
    case Type::kTuple:
      return value.sequence_object();
    case Type::kDict:
      items = parts_of(budget, value.entries(), ViewObject::Part::kKeys);
      break;
    case Type::kRange: {
      const auto& range = value.as<RangeObject>();
      budget.spend(static_cast<std::uint64_t>(range.length) / 8);
      items.reserve(static_cast<std::size_t>(range.length));
      // The last element fits, so no step up to it overflows.
      for (std::int64_t i = 0; i < range.length; ++i) items.push_back(Value::integer(range.start + i * range.step));
      break;
    }
    case Type::kView: {
      const auto& view = value.as<ViewObject>();
      items = parts_of(budget, view.dict.entries(), view.part);
      break;
    }
    case Type::kIterator:
      items = rest_of(value.as<IteratorObject>());
      break;
    default:
      throw Fault("'" + std::string(type_name(value)) + "' object is not iterable");
  }
  return std::make_shared<SequenceObject>(budget, std::move(items));
}

}  // namespace megalith::jinja
