#pragma once
// The vocabulary of Hugging Face's tokenizer.json (package `tokenizers`): its tables, and which of the known pipelines
// its normaliser, pre-tokenizer and post-processor are. A pipeline that is not known is refused, with its description.
#include <string>
#include <string_view>

#include "text/json_document.h"
#include "text/tokenizer.h"

namespace megalith {

inline constexpr VocabularyFields kTokenizerJsonFields = {"model.vocab", "model.merges", "pre_tokenizer"};

/// Reads the text of a tokenizer.json; `source` names it in messages. BOS and EOS are those that its post-processor
/// adds. Throws kInvalidModel with the field's path for what is broken or not supported.
Vocabulary read_tokenizer_json(std::string_view text, const std::string& source);

/// The flags of an added token, as tokenizer.json and tokenizer_config.json both write them; searched in the raw text.
AddedToken read_added_token(const JsonField& token, TokenId id);

}  // namespace megalith
