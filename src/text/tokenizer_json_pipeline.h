#pragma once
// The parts of tokenizer.json that say how a text becomes words: normalizer, pre_tokenizer, decoder.
#include "text/json_document.h"
#include "text/pipeline.h"

namespace megalith {

/// What the three fields of `root` say. Throws kInvalidModel, with the path of the field, for a step that is not known
/// here or has an option that is not.
Pipeline read_pipeline(const JsonField& root);

/// Whether a step of the pre-tokenizer, the decoder or the post-processor is ByteLevel: token texts are in GPT-2's
/// alphabet.
bool is_byte_level(const JsonField& root);

/// The steps of a field that may be missing, be one step, or a Sequence of them, which may hold Sequences; `list` is
/// the name of a Sequence's list.
std::vector<JsonField> steps_of(const std::optional<JsonField>& field, std::string_view list);

std::string_view step_type(const JsonField& step);

/// "is of the type X, which is not known here (known: ...)"
[[noreturn]] void fail_step(const JsonField& step, std::string_view known);

}  // namespace megalith
