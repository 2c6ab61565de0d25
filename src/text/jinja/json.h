#pragma once
// JSON in (the variables of a template) and out (the tojson filter, as transformers overrides it).
#include <nlohmann/json.hpp>
#include <string>

#include "text/jinja/value.h"

namespace megalith::jinja {

/// Faults (Origin::kConversation) if the JSON is nested too deeply or holds an integer of more than 64 bits.
Value from_json(Budget& budget, const nlohmann::ordered_json& json);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool is_indented = false;
  std::string indent;  // of one level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// json.dumps(value): Python's spelling of numbers, NaN and escapes; faults if a part of the value is not JSON.
std::string to_json(Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace megalith::jinja
