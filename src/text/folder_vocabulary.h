#pragma once
// The tokenizer and the chat template of a folder of Hugging Face's kind: tokenizer.json, tokenizer_config.json,
// generation_config.json, chat_template.jinja, chat_template.json.
#include <optional>
#include <string>

#include "text/tokenizer.h"

namespace megalith {

/// tokenizer.json, or without one a tiktoken file with the special tokens of tokenizer_config.json; with BOS, EOS and
/// whether they are added as tokenizer_config.json says, and further ends of generation from generation_config.json;
/// the latter two may be missing. Throws kInvalidModel with file and field.
Vocabulary read_vocabulary_from_folder(const std::string& folder);

/// chat_template.jinja, else chat_template.json, else tokenizer_config.json (of several the one named "default"), if
/// the folder has one. Throws kInvalidModel with file and field.
std::optional<std::string> read_chat_template_from_folder(const std::string& folder);

}  // namespace megalith
