#include "cli/json.h"

namespace megalith::cli {

void write_json(Output& out, const Json& document) {
  out.write(document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string json_line(const Json& document) { return document.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace megalith::cli
