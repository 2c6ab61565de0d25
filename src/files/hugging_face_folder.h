#pragma once
// A folder as Hugging Face's libraries and mlx-lm write it: config.json, perhaps generation_config.json, and
// safetensors, in one file or in shards with an index.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "files/checkpoint.h"

namespace megalith {

/// The weights of such a folder, found by name only: nothing is opened.
struct WeightFiles {
  std::vector<std::string> paths;  // sorted; those that are there
  std::string index;               // path of the index; empty if there is none
};
/// model.safetensors, its index or shards, or the only .safetensors file of whatever name; adapters are none.
WeightFiles find_weight_files(const std::string& folder);

/// Whether the folder holds a model of this kind: config.json and weights in safetensors.
bool is_hugging_face_folder(const std::string& folder);

/// Throws as open_checkpoint does.
std::shared_ptr<const Checkpoint> open_hugging_face_folder(const std::string& folder);

}  // namespace megalith
