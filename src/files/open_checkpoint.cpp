#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/checkpoint.h"
#include "files/gguf.h"
#include "files/hugging_face_folder.h"
#include "files/shards.h"

namespace megalith {

namespace {

struct Shard {
  std::shared_ptr<const MappedFile> file;
  GgufFile gguf;
};

Shard open_shard(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  GgufFile gguf = parse_gguf(file->bytes(), path);
  // Zeros in place of lost pages may have parsed.
  if (file->damaged()) throw Error(ErrorKind::kInvalidModel, fmt::format("{} was truncated while being read", path));
  return {std::move(file), std::move(gguf)};
}

[[noreturn]] void fail(const std::string& path, const std::string& cause) {
  throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}", path, cause));
}

/// The paths of all shards; `path` is one of them and says that there are `count`.
std::vector<std::string> shard_paths(const std::string& path, int64_t count) {
  const std::optional<ShardName> name = parse_shard_name(path);
  if (!name || name->count != count) {
    fail(path, fmt::format("is one of {} shards, but is not named ...-00001-of-{:05}.gguf, so the others cannot be "
                           "found; rename it",
                           count, count));
  }
  std::vector<std::string> paths;
  std::string missing;
  for (int number = 1; number <= name->count; ++number) {
    paths.push_back(name->path_of(number));
    std::error_code error;
    if (std::filesystem::exists(paths.back(), error)) continue;
    missing += (missing.empty() ? "" : ", ") + std::filesystem::path(paths.back()).filename().string();
  }
  if (!missing.empty()) {
    throw Error(ErrorKind::kModelNotFound,
                fmt::format("{}: of its {} shards these are missing: {}; fetch them into the same folder", path, count,
                            missing));
  }
  return paths;
}

std::shared_ptr<const Checkpoint> open_split(const std::string& path, int64_t count) {
  Checkpoint::Parts parts;
  int64_t number = 0;
  for (const std::string& shard_path : shard_paths(path, count)) {
    Shard shard = open_shard(shard_path);
    const auto shard_count = shard.gguf.metadata.find_integer("split.count");
    const auto shard_number = shard.gguf.metadata.find_integer("split.no");
    if (shard_count != count || shard_number != number) {
      fail(shard_path, fmt::format("says it is shard {} of {} (keys split.no, split.count), expected shard {} of {}",
                                   shard_number.value_or(-1) + 1, shard_count.value_or(0), number + 1, count));
    }
    if (number == 0) {
      parts.path = shard_path;
      parts.metadata = std::move(shard.gguf.metadata);
    }
    parts.files.push_back(std::move(shard.file));
    std::move(shard.gguf.weights.begin(), shard.gguf.weights.end(), std::back_inserter(parts.weights));
    ++number;
  }
  const auto n_tensors = parts.metadata.find_integer("split.tensors.count");
  if (n_tensors && *n_tensors != static_cast<int64_t>(parts.weights.size())) {
    fail(path, fmt::format("its shards hold {} tensors, but key split.tensors.count is {}", parts.weights.size(),
                           *n_tensors));
  }
  return std::make_shared<const Checkpoint>(std::move(parts));
}

/// The folder that the path means, if it is one or names one of the files by which such a folder is known.
std::optional<std::string> hugging_face_folder_of(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::is_directory(path, error)) return path;
  const bool is_weights = path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json");
  if (!is_weights || !fs::exists(path, error)) return std::nullopt;
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& path) {
  if (const auto folder = hugging_face_folder_of(path)) return open_hugging_face_folder(*folder);
  Shard shard = open_shard(path);
  const int64_t count = shard.gguf.metadata.find_integer("split.count").value_or(1);
  if (count < 0 || count > kMaxShards) fail(path, fmt::format("key 'split.count' is {}", count));
  if (count > 1) return open_split(path, count);
  Checkpoint::Parts parts;
  parts.path = path;
  parts.files.push_back(std::move(shard.file));
  parts.metadata = std::move(shard.gguf.metadata);
  parts.weights = std::move(shard.gguf.weights);
  return std::make_shared<const Checkpoint>(std::move(parts));
}

}  // namespace megalith
