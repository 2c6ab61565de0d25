#pragma once
// Vocabularies in tiktoken's form: a line for each token, its bytes in base64 and its rank, which is its id.
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace megalith {

/// Whether a text looks like such a file: its first line has that form. SentencePiece's binary files have the same
/// name, tokenizer.model.
bool is_tiktoken_file(std::string_view text);

/// The tokens, with `model` "tiktoken"; special tokens and the pre-tokenizer stand in other files. Throws kInvalidModel
/// naming `source` and the line for a malformed line, a rank that comes twice or is absurd, and ranks with holes.
Vocabulary read_tiktoken_file(std::string_view text, const std::string& source);

}  // namespace megalith
