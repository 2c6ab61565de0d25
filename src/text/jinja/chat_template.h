#pragma once
// Chat templates: the Jinja dialect that model makers use, rendered byte for byte as Jinja2 with transformers' settings
// (trim_blocks, lstrip_blocks, loop controls, ImmutableSandboxedEnvironment; globals raise_exception, strftime_now).
// Where we differ: integers have at most 4300 digits; map, select and the like do their work at once; a variable of the
// caller that the template sets somewhere is visible until then in inner scopes too; include, import and extends are
// refused, for a chat template is a single file, as are complex numbers and bytes.
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace megalith {

/// A parsed template. Immutable; render() may be called from many threads.
class ChatTemplate {
 public:
  struct RenderOptions {
    std::optional<std::tm> now;  // what strftime_now formats; the local time if not given
  };

  /// Throws kInvalidModel with message and line if the source does not parse, is larger than 512 KiB or is nested too
  /// deeply.
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// Renders with the variables of a JSON object (messages, tools, add_generation_prompt, bos_token, ...; key order is
  /// kept). A variable that is null is None; one that is absent is undefined. transformers always passes messages,
  /// tools, documents (None without any) and add_generation_prompt, and templates rely on it.
  /// Throws kInvalidModel for the template's own faults and for bounded steps, depth or memory being exceeded; kUsage
  /// with the template's message when it calls raise_exception (the conversation is at fault), and for variables that
  /// cannot be taken over.
  std::string render(const nlohmann::ordered_json& variables, const RenderOptions& options) const;
  std::string render(const nlohmann::ordered_json& variables) const { return render(variables, RenderOptions()); }

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace megalith
