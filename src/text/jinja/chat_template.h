#pragma once
// Chat templates: the Jinja dialect that model makers use, rendered byte for byte as Jinja2 with transformers' settings
// (trim_blocks, lstrip_blocks, loop controls, ImmutableSandboxedEnvironment; globals raise_exception, strftime_now).
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace megalith {

/// A parsed template. Immutable; render() may be called from many threads.
class ChatTemplate {
 public:
  /// Throws kInvalidModel with message and line if the source does not parse or is nested too deeply.
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// Renders with the variables of a JSON object (messages, tools, add_generation_prompt, bos_token, ...; key order is
  /// kept). Throws kInvalidModel for the template's own faults and for bounded steps, depth or output being exceeded;
  /// kUsage with the template's message when it calls raise_exception (the conversation is at fault).
  std::string render(const nlohmann::ordered_json& variables) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace megalith
