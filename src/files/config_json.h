#pragma once
// config.json and its like, flattened into Metadata.
#include <string>
#include <string_view>

#include "files/checkpoint.h"

namespace megalith {

/// Adds what a JSON object holds as `prefix`.key, prefix.key.inner, ... (Naming::kHuggingFace says how lists are kept).
/// Throws kInvalidModel with `source` (the file's name), the key and the cause for what is no JSON object, repeats a
/// key, nests more than 32 deep or is larger than any model's: 4 MiB, or 8 MiB of keys once they are flattened.
void add_json_object(Metadata& metadata, const std::string& prefix, std::string_view text, const std::string& source);

}  // namespace megalith
