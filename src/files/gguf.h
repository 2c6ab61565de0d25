#pragma once
// GGUF v2 and v3, as specified by ggml's docs/gguf.md.
#include "files/checkpoint.h"

namespace megalith {

/// Parsed header of one GGUF file; all views lie inside `bytes`.
struct GgufFile {
  uint32_t version = 0;
  Metadata metadata;
  std::vector<NamedWeight> weights;
  uint64_t data_offset_bytes = 0;
};

/// Throws kInvalidModel with `source` (the file's name), the field and the cause for anything malformed, truncated,
/// overlapping the file's end, duplicated or of unknown tensor type. Never allocates more than the file's own size
/// justifies.
GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& source);

}  // namespace megalith
