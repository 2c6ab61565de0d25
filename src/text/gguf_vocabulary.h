#pragma once
// The tokenizer that a checkpoint carries: a GGUF file in its metadata (`tokenizer.ggml.*`, as ggml's docs/gguf.md
// names it), a folder of Hugging Face's kind in the files beside its weights (folder_vocabulary.h).
#include <optional>
#include <string>
#include <string_view>

#include "files/checkpoint.h"
#include "text/tokenizer.h"

namespace megalith {

/// Copies the tables out of the file; make_tokenizer checks what they say. `pre_tokenizer`, if not empty, takes the
/// place of the one that the file names or lacks. Throws kInvalidModel naming file and key if there is no tokenizer, or
/// for a value of another type or outside the range of its field; kUsage for an unknown `pre_tokenizer`, or one that
/// the file's kind of tokenizer has no use for.
Vocabulary read_vocabulary(const Checkpoint& checkpoint, std::string_view pre_tokenizer = {});

/// GGUF's `tokenizer.chat_template`, or the folder's, if there is one.
std::optional<std::string> read_chat_template(const Checkpoint& checkpoint);

}  // namespace megalith
