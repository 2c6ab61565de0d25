#pragma once
// Names of the files of a split model: prefix-00001-of-00003.gguf, or .safetensors.
#include <optional>
#include <string>
#include <string_view>

namespace megalith {

inline constexpr int kMaxShards = 4096;  // what the 16 bits of split.count could say is more than MappedFile maps

struct ShardName {
  std::string prefix;  // with its folder
  int number = 0;      // from 1
  int count = 0;
  std::string path_of(int shard_number, std::string_view extension = ".gguf") const;
};

/// Nullopt if the path does not end like a shard's (number within 1..count).
std::optional<ShardName> parse_shard_name(const std::string& path, std::string_view extension = ".gguf");

}  // namespace megalith
