#pragma once
// The one JSON document that --json prints.
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace megalith::cli {

using Json = nlohmann::ordered_json;

/// Indented by two; bytes that are not UTF-8 become U+FFFD.
void write_json(Output& out, const Json& document);
/// On one line.
std::string json_line(const Json& document);

}  // namespace megalith::cli
