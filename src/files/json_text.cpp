#include "files/json_text.h"

#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace megalith {

namespace {

/// The parser's events, handed on.
class Adapter final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Adapter(const std::string& source, JsonEvents& events) : source_(source), events_(events) {}

  bool null() override {
    events_.on_null();
    return true;
  }
  bool boolean(bool value) override {
    events_.on_boolean(value);
    return true;
  }
  bool number_integer(number_integer_t value) override {
    events_.on_integer(value);
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      events_.on_large_integer(value);
    } else {
      events_.on_integer(static_cast<int64_t>(value));
    }
    return true;
  }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    events_.on_number(value);
    return true;
  }
  bool string(string_t& value) override {
    events_.on_string(std::move(value));
    return true;
  }
  bool binary(binary_t& /*value*/) override { return false; }  // not in JSON
  bool start_object(size_t /*elements*/) override {
    events_.on_object();
    return true;
  }
  bool key(string_t& value) override {
    events_.on_key(std::move(value));
    return true;
  }
  bool end_object() override {
    events_.on_end();
    return true;
  }
  bool start_array(size_t /*elements*/) override {
    events_.on_array();
    return true;
  }
  bool end_array() override {
    events_.on_end();
    return true;
  }
  bool parse_error(size_t position, const std::string& /*last_token*/,
                   const nlohmann::json::exception& /*why*/) override {
    fail(position);
  }

  [[noreturn]] void fail(size_t at_byte) const {
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: is no valid JSON at byte {}; fetch the file again", source_, at_byte));
  }

 private:
  const std::string& source_;
  JsonEvents& events_;
};

}  // namespace

void read_json(std::string_view text, const std::string& source, JsonEvents& events) {
  Adapter adapter(source, events);
  // The parser takes a zero byte for the end of the text and would not look at the rest.
  const size_t zero = text.find('\0');
  if (zero != std::string_view::npos) adapter.fail(zero);
  nlohmann::json::sax_parse(text.begin(), text.end(), &adapter);
}

}  // namespace megalith
