#pragma once
// MODEL argument -> files on disk. Local places only: paths, megalith's own cache, Hugging Face, Ollama and LM Studio
// folders, all read in place.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/environment.h"

namespace megalith {

struct LocalModel {
  std::string name;    // what the user may type as MODEL
  std::string path;    // .gguf (first shard)
  std::string source;  // "megalith cache", "Hugging Face cache", "Ollama", "LM Studio"
  uint64_t size_bytes; // of all shards
};

/// The path that a MODEL argument means: a path, a short name ("smollm2"), org/repo[:quant], ollama:name[:tag].
/// Throws kModelNotFound saying where it looked and what could be meant (near names, how to fetch the default model).
/// A directory without weights, or several candidates for a quantisation, are errors that list what was found.
std::string resolve_model(std::string_view model, const Environment& environment);

/// Every model file found on this machine, sorted by source and name. Unreadable folders are skipped.
std::vector<LocalModel> list_local_models(const Environment& environment);

}  // namespace megalith
