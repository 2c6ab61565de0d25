#include "files/shards.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace megalith {

namespace {

std::optional<int> five_digits(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::string ShardName::path_of(int shard_number) const {
  return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, shard_number, count);
}

std::optional<ShardName> parse_shard_name(const std::string& path) {
  constexpr std::string_view kSuffixShape = "-00001-of-00001.gguf";
  if (path.size() <= kSuffixShape.size()) return std::nullopt;
  const std::string_view suffix = std::string_view(path).substr(path.size() - kSuffixShape.size());
  if (suffix[0] != '-' || suffix.substr(6, 4) != "-of-" || suffix.substr(15) != ".gguf") return std::nullopt;
  const std::optional<int> number = five_digits(suffix.substr(1, 5));
  const std::optional<int> count = five_digits(suffix.substr(10, 5));
  if (!number || !count || *number < 1 || *number > *count || *count > kMaxShards) return std::nullopt;
  return ShardName{path.substr(0, path.size() - kSuffixShape.size()), *number, *count};
}

}  // namespace megalith
