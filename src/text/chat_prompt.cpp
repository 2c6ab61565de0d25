#include "text/chat_prompt.h"

#include <optional>
#include <string>
#include <utility>

#include "base/error.h"

namespace megalith {
namespace {

/// The library's sentence without its tag, "[json.exception.parse_error.101] parse error at line 1, column 3: ...".
std::string plain_sentence(std::string_view sentence) {
  const auto drop = [&](std::string_view end_of_prefix) {
    const size_t at = sentence.find(end_of_prefix);
    if (at != std::string_view::npos) sentence.remove_prefix(at + end_of_prefix.size());
  };
  if (sentence.starts_with("[json.exception.")) drop("] ");
  if (sentence.starts_with("parse error at ")) drop("parse error at ");
  return std::string(sentence);
}

/// Templates read the reasoning of an earlier answer under one of two names, and callers send it under any of three.
void spread_reasoning(nlohmann::ordered_json& message) {
  if (!message.is_object()) return;
  nlohmann::ordered_json reasoning;
  for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
    if (reasoning.is_null() && message.contains(key)) reasoning = message[key];
  }
  if (reasoning.is_null()) return;
  nlohmann::ordered_json spread{{"thinking", reasoning}};  // the order is transformers', for templates that print it
  for (auto& [key, value] : message.items()) spread[key] = std::move(value);
  spread["reasoning_content"] = std::move(reasoning);
  message = std::move(spread);
}

}  // namespace

nlohmann::ordered_json parse_json(std::string_view text, std::string_view what) {
  // Copying and rendering a value recurse into it: a text of a million '[' must not become a million calls.
  constexpr int kMostNested = 256;
  const auto check_depth = [&](int depth, nlohmann::ordered_json::parse_event_t, const nlohmann::ordered_json&) {
    if (depth <= kMostNested) return true;
    throw Error(ErrorKind::kUsage,
                std::string(what) + ": nested deeper than " + std::to_string(kMostNested) + " lists and objects");
  };
  try {
    return nlohmann::ordered_json::parse(text, check_depth);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kUsage, std::string(what) + ": not JSON: " + plain_sentence(error.what()));
  }
}

std::string render_chat(const ChatTemplate& chat_template, const Tokenizer* tokenizer,
                        nlohmann::ordered_json variables) {
  if (!variables.is_object()) throw Error(ErrorKind::kUsage, "the variables of a chat template must be a JSON object");
  const auto give_token = [&](const char* key, std::optional<TokenId> token) {
    if (token && !variables.contains(key))
      variables[key] = std::string(tokenizer->bytes(*token, Tokenizer::Special::kRender));
  };
  if (tokenizer != nullptr) {
    give_token("bos_token", tokenizer->vocabulary().bos);
    give_token("eos_token", tokenizer->vocabulary().eos);
  }
  const auto messages = variables.find("messages");
  if (messages != variables.end() && messages->is_array()) {
    for (nlohmann::ordered_json& message : *messages) spread_reasoning(message);
  }
  if (!variables.contains("add_generation_prompt")) variables["add_generation_prompt"] = true;
  // A template may ask whether they are none, which an undefined variable is not.
  for (const char* key : {"tools", "documents"}) {
    if (!variables.contains(key)) variables[key] = nullptr;
  }
  return chat_template.render(variables);
}

}  // namespace megalith
