// For tests/oracle/compare_templates.py: renders many templates in one process. Each line of standard input is
// {"template": source, "cases": [variables, ...]}; the answer is a line [outcome, ...], where an outcome is
// {"output": text} or {"error": message, "kind": "usage" or "invalid"}. strftime_now tells 2025-07-04 15:09:26.
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/jinja/chat_template.h"

namespace {

using Json = nlohmann::ordered_json;

std::tm fixed_time() {
  std::tm now{};
  now.tm_year = 125;
  now.tm_mon = 6;
  now.tm_mday = 4;
  now.tm_hour = 15;
  now.tm_min = 9;
  now.tm_sec = 26;
  now.tm_wday = 5;
  now.tm_yday = 184;
  return now;
}

Json outcome(const std::string& source, const Json& variables) {
  megalith::ChatTemplate::RenderOptions options;
  options.now = fixed_time();
  try {
    return {{"output", megalith::ChatTemplate(source).render(variables, options)}};
  } catch (const megalith::Error& error) {
    return {{"error", error.what()}, {"kind", error.kind() == megalith::ErrorKind::kUsage ? "usage" : "invalid"}};
  }
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const Json job = Json::parse(line);
    Json outcomes = Json::array();
    for (const Json& variables : job["cases"]) outcomes.push_back(outcome(job["template"], variables));
    std::cout << outcomes.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
  }
  return 0;
}
