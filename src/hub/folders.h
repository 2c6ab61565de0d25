#pragma once
// The folders in which models lie on this machine, read in place. A folder that is missing or unreadable holds nothing.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/hub.h"

namespace megalith::folders {

/// A model file: a .gguf, or the first shard of a split. Vision projectors (mmproj*) are none.
struct ModelFile {
  std::string path;
  std::string file_name;
  std::string stem;          // without .gguf and shard numbers
  std::string quantisation;  // "Q4_K_M" as the file name says it, upper case; empty if it does not
  uint64_t size_bytes = 0;   // of all shards
};

enum class Depth { kThisFolder, kSubfoldersToo };

/// Sorted by path.
std::vector<ModelFile> model_files(const std::string& folder, Depth depth);

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
