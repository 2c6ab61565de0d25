#pragma once
// The values of a template: Python's, as far as a sandboxed template can see them. Values are immutable and shared,
// except for the few objects whose purpose is to change (namespace, joiner, cycler, iterator, loop).
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/big_integer.h"
#include "text/jinja/budget.h"

namespace megalith::jinja {

struct Builtin;
struct Scope;
namespace ast {
struct MacroBody;
}

enum class Type : std::uint8_t {
  kUndefined,
  kNone,
  kBoolean,
  kInteger,
  kBigInteger,  // of more than 64 bits
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kRange,
  kView,      // dict.keys(), values(), items()
  kIterator,  // what map, select, items, ... give: can be walked once
  kNamespace,
  kFunction,  // a global, or a method bound to its object
  kMacro,
  kLoop,
  kJoiner,
  kCycler,
  kTemplateReference,  // self: the blocks of a template
};

/// Containers nest at most this deep, so that walking a value by recursion is safe.
inline constexpr std::uint32_t kMaxValueDepth = 128;

/// Part of a value that lives on the heap and is paid for from a budget, which must outlive it.
class Object {
 public:
  Object(Budget& budget, std::size_t bytes, std::uint32_t depth);
  virtual ~Object() { budget_.release(bytes_); }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  std::uint32_t depth() const { return depth_; }

 private:
  Budget& budget_;
  std::size_t bytes_;
  std::uint32_t depth_;  // 0: contains no values
};

struct StringObject;
struct SequenceObject;
struct DictObject;
struct RangeObject;

class Value {
 public:
  using Entries = std::vector<std::pair<Value, Value>>;

  Value() : type_(Type::kNone), integer_(0) {}

  static Value none() { return Value(); }
  static Value boolean(bool value);
  static Value integer(std::int64_t value);
  static Value integer(Budget& budget, BigInteger value);
  static Value number(double value);
  static Value string(Budget& budget, std::string text);
  /// Text that the filters safe and escape have marked: what joins it by +, % or a method is escaped as HTML.
  static Value markup(Budget& budget, std::string text);
  static Value list(Budget& budget, std::vector<Value> items);
  static Value tuple(Budget& budget, std::vector<Value> items);
  static Value list(std::shared_ptr<const SequenceObject> items);
  /// The keys must be distinct; see DictBuilder.
  static Value dict(Budget& budget, Entries entries);
  static Value iterator(Budget& budget, std::vector<Value> items);
  static Value function(Budget& budget, const Builtin& builtin);
  static Value method(Budget& budget, const Builtin& builtin, Value self);
  /// Prints as nothing; any other use faults with `message`.
  static Value undefined(Budget& budget, std::string message);
  static Value undefined_name(Budget& budget, std::string_view name);
  static Value undefined_element(Budget& budget, const Value& object, const Value& key);
  static Value object(Type type, std::shared_ptr<const Object> object);

  Type type() const { return type_; }
  bool is(Type type) const { return type_ == type; }
  bool is_undefined() const { return type_ == Type::kUndefined; }
  bool is_none() const { return type_ == Type::kNone; }
  bool is_string() const { return type_ == Type::kString; }
  bool is_markup() const;
  bool is_sequence() const { return type_ == Type::kList || type_ == Type::kTuple; }
  bool is_integral() const { return type_ == Type::kInteger || type_ == Type::kBoolean; }  // bool is an int in Python
  bool is_whole() const { return is_integral() || type_ == Type::kBigInteger; }
  bool is_number() const { return is_whole() || type_ == Type::kFloat; }
  std::uint32_t depth() const { return object_ ? object_->depth() : 0; }

  // Each may be asked only of the types that its name says.
  std::int64_t as_integer() const { return integer_; }  // kInteger, kBoolean
  double as_float() const {
    if (type_ == Type::kFloat) return float_;
    return type_ == Type::kBigInteger ? as_big_integer().to_double() : static_cast<double>(integer_);
  }
  BigInteger as_big_integer() const;  // of any that is_whole()
  const std::string& text() const;
  const StringObject& string_object() const { return as<StringObject>(); }
  const std::vector<Value>& items() const;  // kList, kTuple
  const Entries& entries() const;           // kDict
  std::shared_ptr<const SequenceObject> sequence_object() const;
  template <typename T>
  const T& as() const {
    return static_cast<const T&>(*object_);
  }
  template <typename T>
  std::shared_ptr<const T> share() const {
    return std::static_pointer_cast<const T>(object_);
  }
  const Object* identity() const { return object_.get(); }

 private:
  Value(Type type, std::shared_ptr<const Object> object) : type_(type), integer_(0), object_(std::move(object)) {}

  Type type_;
  union {
    std::int64_t integer_;
    double float_;
  };
  std::shared_ptr<const Object> object_;
};

struct UndefinedObject : Object {
  UndefinedObject(Budget& budget, std::string message_text);
  std::string message;
};

struct StringObject : Object {
  enum class Kind : std::uint8_t { kPlain, kMarkup };
  StringObject(Budget& budget, std::string value, Kind which = Kind::kPlain);
  bool is_single_bytes() const { return code_points == text.size(); }  // then byte i is code point i
  std::string text;
  std::size_t code_points;
  Kind kind;
};

struct BigIntegerObject : Object {
  BigIntegerObject(Budget& budget, BigInteger number);
  BigInteger value;
};

struct SequenceObject : Object {
  SequenceObject(Budget& budget, std::vector<Value> values);
  std::vector<Value> items;
};

struct DictObject : Object {
  DictObject(Budget& budget, Value::Entries values);
  Value::Entries entries;
};

struct RangeObject : Object {
  RangeObject(Budget& budget, std::int64_t first, std::int64_t past, std::int64_t by);
  std::int64_t start, stop, step, length;
};

struct ViewObject : Object {
  enum class Part { kKeys, kValues, kItems };
  ViewObject(Budget& budget, Part which, Value of);
  Part part;
  Value dict;
};

struct IteratorObject : Object {
  IteratorObject(Budget& budget, std::vector<Value> values);
  std::vector<Value> items;
  mutable std::size_t next = 0;
};

struct NamespaceObject : Object {
  NamespaceObject(Budget& budget, Value::Entries values);
  /// Sets an attribute; a template may not create one that starts with an underscore.
  void set(Budget& budget, const Value& name, Value value) const;
  mutable Value::Entries attributes;
};

struct FunctionObject : Object {
  FunctionObject(Budget& budget, const Builtin& function, Value bound_to);
  const Builtin& builtin;
  Value self;  // none for a global
};

struct MacroObject : Object {
  MacroObject(Budget& budget, const ast::MacroBody& code, std::shared_ptr<Scope> defined_in);
  const ast::MacroBody& body;
  std::shared_ptr<Scope> scope;
};

struct JoinerObject : Object {
  JoinerObject(Budget& budget, Value separator_value);
  Value separator;
  mutable bool used = false;
};

struct CyclerObject : Object {
  CyclerObject(Budget& budget, std::vector<Value> values);
  std::vector<Value> items;
  mutable std::size_t position = 0;
};

/// self: without the blocks, which the parser refuses beside it.
struct TemplateReferenceObject : Object {
  explicit TemplateReferenceObject(Budget& budget);
};

/// Collects entries as Python's dict does: a later value replaces an earlier one of an equal key, in its place.
class DictBuilder {
 public:
  explicit DictBuilder(Budget& budget, Value::Entries entries = {}) : budget_(budget), entries_(std::move(entries)) {}
  /// Faults if the key cannot be hashed (a list or a dict).
  void set(const Value& key, Value value);
  Value::Entries take() { return std::move(entries_); }

 private:
  Budget& budget_;
  Value::Entries entries_;
};

/// The value of a key, or nullptr.
const Value* find_entry(Budget& budget, const Value::Entries& entries, const Value& key);
const Value* find_entry(Budget& budget, const Value::Entries& entries, std::string_view key);

/// Python's name of the type, as its messages say it.
std::string_view type_name(const Value& value);
[[noreturn]] void fail_undefined(const Value& undefined);
/// Faults if the value is undefined: for every use that Jinja does not allow.
void require_defined(const Value& value);
/// Faults if the value cannot be the key of a dict.
void require_hashable(Budget& budget, const Value& value);

bool is_true(const Value& value);
/// len(); faults for a type that has none.
std::int64_t length_of(const Value& value);
bool has_length(const Value& value);
bool is_iterable(const Value& value);
/// The elements that iteration yields: items, keys of a dict, characters of a string; nothing for undefined. Drains an
/// iterator. Faults if the value is not iterable. Iterating over a running loop is the renderer's own business.
std::shared_ptr<const SequenceObject> elements_of(Budget& budget, const Value& value);

bool equal(Budget& budget, const Value& left, const Value& right);
/// Negative, zero or positive; faults if Python does not order the two. `sign` appears in the message.
int compare(Budget& budget, const Value& left, const Value& right, std::string_view sign);
/// `needle in haystack`
bool contains(Budget& budget, const Value& haystack, const Value& needle);
/// The position of `needle` in `haystack` from byte `from` on, or npos. Linear in both lengths.
std::size_t find_text(Budget& budget, std::string_view haystack, std::string_view needle, std::size_t from = 0);

/// str(value) and repr(value)
std::string to_text(Budget& budget, const Value& value);
void append_text(TextBuffer& out, Budget& budget, const Value& value);
void append_repr(TextBuffer& out, Budget& budget, const Value& value);
std::string repr(Budget& budget, const Value& value);
/// str(value), escaped as HTML unless it is marked as safe.
std::string to_escaped_text(Budget& budget, const Value& value);

}  // namespace megalith::jinja
