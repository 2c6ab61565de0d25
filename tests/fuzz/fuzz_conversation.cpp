// Any bytes as the JSON of a conversation and its tools, rendered by templates that touch all of it: a prompt, or
// megalith::Error.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/chat_prompt.h"

namespace {

using namespace megalith;

constexpr std::array kTemplates{
    // As makers write them: roles, contents that are texts or lists of parts, tool calls, tools as JSON.
    R"({%- if tools %}{{ tools | tojson }}{{ tools | tojson(indent=2) }}{% endif -%}
{%- for message in messages %}{{ message.role | upper }}:
{%- if message.content is string %}{{ message.content | trim }}
{%- else %}{% for part in message.content %}{{ part.type }}{{ part.text }}{% endfor %}{% endif %}
{%- for call in message.tool_calls %}{{ call.function.name }}({{ call.function.arguments | tojson }}){% endfor %}
{%- if message['reasoning_content'] is defined %}{{ message.reasoning_content.split('</think>')[-1] }}{% endif %}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %})",
    // As Python would print it.
    R"({% for key, value in messages[0].items() | sort %}{{ key }}={{ value }};{% endfor %}{{ messages }}{{ tools }}
{{ messages | length }}{{ messages[-1] }}{{ messages[1:] == messages }})",
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::array<ChatTemplate, 2> templates{ChatTemplate(kTemplates[0]), ChatTemplate(kTemplates[1])};
  nlohmann::ordered_json variables;
  try {
    variables = parse_json(std::string_view(reinterpret_cast<const char*>(data), size), "--messages");
  } catch (const Error&) {
    return 0;
  }
  if (variables.is_array()) variables = {{"messages", std::move(variables)}};
  for (const ChatTemplate& chat_template : templates) {
    try {
      render_chat(chat_template, nullptr, variables);
    } catch (const Error&) {
    }
  }
  return 0;
}
