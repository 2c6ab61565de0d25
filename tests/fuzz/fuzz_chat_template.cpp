// Any bytes are a template; each renders, or ends with megalith::Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/jinja/chat_template.h"

namespace {

const nlohmann::ordered_json& variables() {
  static const auto kVariables = nlohmann::ordered_json::parse(R"json({
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße 🎉\n"},
                 {"role": "assistant", "content": null, "tool_calls": [{"name": "f", "arguments": {"x": [1, 2.5]}}]}],
    "tools": null, "add_generation_prompt": true, "bos_token": "<s>", "number": 42, "items": [3, 1, 2]})json");
  return kVariables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const megalith::ChatTemplate chat_template(std::string_view(reinterpret_cast<const char*>(data), size));
    chat_template.render(variables());
  } catch (const megalith::Error&) {
  }
  return 0;
}
