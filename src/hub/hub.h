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
  std::string name;     // what the user may type as MODEL
  std::string path;     // .gguf (first shard), or the folder of safetensors
  std::string source;   // "megalith cache", "Hugging Face cache", "Ollama", "LM Studio"
  uint64_t size_bytes;  // of all shards
};

/// The path that a MODEL argument means: a path, a short name ("smollm2"), org/repo[:quant], ollama:name[:tag].
/// A folder with one model in it, or a file name of megalith's cache, will do too. A folder with config.json and
/// safetensors is a model itself; where there are .gguf files too, org/repo:safetensors means it. Without a
/// quantisation org/repo means its only model, else the one of Q4_K_M. Throws kModelNotFound saying where it looked and
/// what could be meant (near names, how to fetch the default model); a directory without weights and without
/// config.json is one. Several candidates are kUsage,
/// listing them; a broken Ollama manifest is kInvalidModel. A path that exists is returned as it is: whether it is a
/// model is seen when it is opened.
std::string resolve_model(std::string_view model, const Environment& environment);

/// Every model file found on this machine, sorted by source and name. Unreadable folders are skipped.
std::vector<LocalModel> list_local_models(const Environment& environment);

}  // namespace megalith
