#pragma once
// From a conversation to the prompt: what every caller's variables have in common when a chat template is rendered.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "text/jinja/chat_template.h"
#include "text/tokenizer.h"

namespace megalith {

/// JSON that came from outside. Throws kUsage: "`what`: not JSON: line 1, column 3: ...".
nlohmann::ordered_json parse_json(std::string_view text, std::string_view what);

/// Renders the template with `variables` (a JSON object: messages and whatever else it reads), completed as
/// transformers' apply_chat_template does where the caller leaves something out: tools and documents are none,
/// add_generation_prompt is true (makers' templates expect that of a chat), bos_token and eos_token are the texts of
/// the tokenizer's tokens, and a message's reasoning_content, thinking or reasoning is given as the first two of these
/// names. Without a tokenizer (null) or without such a token, those two stay undefined.
/// Throws kUsage if `variables` is no object, and what ChatTemplate::render throws.
std::string render_chat(const ChatTemplate& chat_template, const Tokenizer* tokenizer,
                        nlohmann::ordered_json variables);

}  // namespace megalith
