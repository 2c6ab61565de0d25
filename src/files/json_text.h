#pragma once
// JSON of foreign origin, read event by event: no tree of it is ever built, so its size bounds what it costs.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace megalith {

/// What a document holds, in its order. Whoever receives it refuses by throwing.
class JsonEvents {
 public:
  virtual void on_null() = 0;
  virtual void on_boolean(bool value) = 0;
  virtual void on_integer(int64_t value) = 0;
  virtual void on_large_integer(uint64_t value) = 0;  // what int64_t does not hold
  virtual void on_number(double value) = 0;
  virtual void on_string(std::string value) = 0;  // UTF-8
  virtual void on_object() = 0;
  virtual void on_key(std::string key) = 0;
  virtual void on_array() = 0;
  /// The end of the innermost object or array.
  virtual void on_end() = 0;

 protected:
  ~JsonEvents() = default;
};

/// Reads one document with nothing but white space around it. Throws kInvalidModel with `source` and the byte where it
/// is no JSON, and lets pass what the events throw. Nesting is the events' business: nothing here recurses.
void read_json(std::string_view text, const std::string& source, JsonEvents& events);

}  // namespace megalith
