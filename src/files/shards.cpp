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

std::string ShardName::path_of(int shard_number, std::string_view extension) const {
  return fmt::format("{}-{:05}-of-{:05}{}", prefix, shard_number, count, extension);
}

std::optional<ShardName> parse_shard_name(const std::string& path, std::string_view extension) {
  constexpr std::string_view kNumbersShape = "-00001-of-00001";
  if (!path.ends_with(extension) || path.size() <= kNumbersShape.size() + extension.size()) return std::nullopt;
  const size_t prefix_size = path.size() - extension.size() - kNumbersShape.size();
  const std::string_view numbers = std::string_view(path).substr(prefix_size, kNumbersShape.size());
  if (numbers[0] != '-' || numbers.substr(6, 4) != "-of-") return std::nullopt;
  const std::optional<int> number = five_digits(numbers.substr(1, 5));
  const std::optional<int> count = five_digits(numbers.substr(10, 5));
  if (!number || !count || *number < 1 || *number > *count || *count > kMaxShards) return std::nullopt;
  return ShardName{path.substr(0, prefix_size), *number, *count};
}

}  // namespace megalith
