#pragma once
// The folders in which models lie on this machine, read in place. A folder that is missing or unreadable holds nothing.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/hub.h"

namespace megalith::folders {

/// A model: a .gguf or the first shard of a split (vision projectors, mmproj*, are none), or a folder with config.json
/// and safetensors.
struct ModelFile {
  std::string path;
  std::string file_name;     // kSafetensors for a folder
  std::string stem;          // without .gguf and shard numbers
  std::string quantisation;  // "Q4_K_M" as the file name says it, upper case; empty if it does not
  uint64_t size_bytes = 0;   // of all shards
};

/// What chooses a folder's own safetensors among its models: org/repo:safetensors.
inline constexpr std::string_view kSafetensors = "safetensors";

enum class Depth { kThisFolder, kSubfoldersToo };

/// Sorted by path; the folder itself is one of them if its weights are safetensors.
std::vector<ModelFile> model_files(const std::string& folder, Depth depth);

/// The folders in `folder` that are models themselves, under their names.
std::vector<ModelFile> model_folders(const std::string& folder);

/// Names of the entries of a folder, sorted; empty if it cannot be read.
std::vector<std::string> entries(const std::string& folder);

/// The snapshot folder of org/repo in the Hugging Face cache that refs/main names, or else the newest; empty if none.
std::string hugging_face_snapshot(const std::string& cache, std::string_view repository);

/// org/repo of every repository in the Hugging Face cache.
std::vector<std::string> hugging_face_repositories(const std::string& cache);

/// One path component of foreign origin: letters, digits and ._- only, and not "." or "..".
bool is_plain_name(std::string_view name);

/// Compared without regard to ASCII case.
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace megalith::folders
