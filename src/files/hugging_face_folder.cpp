#include "files/hugging_face_folder.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/config_json.h"
#include "files/folder_weights.h"
#include "files/json_text.h"
#include "files/safetensors.h"
#include "files/shards.h"

namespace megalith {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kExtension = ".safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kSingleName = "model.safetensors";
constexpr size_t kMaxIndexBytes = 64 << 20;
constexpr size_t kMaxTensorNameBytes = 1024;

[[noreturn]] void fail(const std::string& path, const std::string& cause) {
  throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}", path, cause));
}

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);  // follows links, as the Hugging Face cache needs
}

std::string join(const std::string& folder, std::string_view name) {
  return (fs::path(folder) / fs::path(name)).string();
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
  while (!error && entry != fs::directory_iterator()) {
    names.push_back(entry->path().filename().string());
    entry.increment(error);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::shared_ptr<const MappedFile> map_whole(const std::string& path) {
  return std::make_shared<const MappedFile>(path);
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

/// {"metadata": {...}, "weight_map": {tensor: file name}}.
class IndexEvents final : public JsonEvents {
 public:
  explicit IndexEvents(const std::string& source) : source_(source) {}
  std::map<std::string, std::string> take() {
    if (!found_) fail(source_, "has no object 'weight_map'");
    return std::move(file_of_);
  }

  void on_null() override { on_other(); }
  void on_boolean(bool /*value*/) override { on_other(); }
  void on_integer(int64_t /*value*/) override { on_other(); }
  void on_large_integer(uint64_t /*value*/) override { on_other(); }
  void on_number(double /*value*/) override { on_other(); }
  void on_string(std::string value) override {
    if (!in_map()) return on_other();
    // A name only: what a downloaded file says must not lead out of its folder.
    if (value.find_first_of("/\\") != std::string::npos || !value.ends_with(kExtension)) {
      fail(source_, fmt::format("tensor {} is said to lie in {}, which is no name of a .safetensors file",
                                in_quotes(key_), in_quotes(value)));
    }
    if (!file_of_.emplace(key_, std::move(value)).second) {
      fail(source_, fmt::format("tensor {} appears twice", in_quotes(key_)));
    }
  }
  void on_object() override {
    if (in_map()) on_other();
    if (depth_ == 1 && key_ == "weight_map") found_ = true;
    enter();
  }
  void on_key(std::string key) override {
    if (in_map() && (key.empty() || key.size() > kMaxTensorNameBytes)) {
      fail(source_, fmt::format("a tensor's name of {} bytes", key.size()));
    }
    if (depth_ == 1) is_map_ = key == "weight_map";
    key_ = std::move(key);
  }
  void on_array() override {
    on_other();
    enter();
  }
  void on_end() override { --depth_; }

 private:
  bool in_map() const { return depth_ == 2 && is_map_; }
  void on_other() const {
    if (depth_ == 0) fail(source_, "is no JSON object");
    if (in_map()) fail(source_, fmt::format("tensor {} has no file name", in_quotes(key_)));
  }
  void enter() {
    constexpr int kMaxDepth = 32;
    if (++depth_ > kMaxDepth) fail(source_, fmt::format("nests more than {} deep", kMaxDepth));
  }

  const std::string& source_;
  int depth_ = 0;
  bool is_map_ = false;  // the value of the outermost object being read is weight_map
  bool found_ = false;
  std::string key_;
  std::map<std::string, std::string> file_of_;
};

std::map<std::string, std::string> read_index(const std::string& path) {
  const auto file = map_whole(path);
  if (file->bytes().size() > kMaxIndexBytes) {
    fail(path, fmt::format("has {} bytes, more than the {} that megalith reads", file->bytes().size(), kMaxIndexBytes));
  }
  IndexEvents events(path);
  read_json(text_of(*file), path, events);
  if (file->damaged()) fail(path, "was truncated while being read");
  return events.take();
}

Metadata read_configs(const std::string& folder) {
  Metadata metadata(folder);
  const std::string config = join(folder, "config.json");
  if (!is_file(config)) {
    throw Error(
        ErrorKind::kInvalidModel,
        fmt::format("{} has no config.json, which says what model its weights are; fetch it into that folder", folder));
  }
  for (const std::string_view name : {"config", "generation_config"}) {
    const std::string path = join(folder, std::string(name) + ".json");
    if (name != "config" && !is_file(path)) continue;
    const auto file = map_whole(path);
    add_json_object(metadata, std::string(name), text_of(*file), path);
    if (file->damaged()) fail(path, "was truncated while being read");
  }
  return metadata;
}

[[noreturn]] void fail_without_weights(const std::string& folder) {
  for (const std::string& name : names_in(folder)) {
    const fs::path path(name);
    if (path.extension() == ".bin" || path.extension() == ".pt" || path.extension() == ".pth") {
      fail(folder, fmt::format("its weights are in {}, a Python pickle, which may run foreign code and which megalith "
                               "does not read; convert them to safetensors, or get a .gguf of this model",
                               in_quotes(name)));
    }
  }
  fail(folder, "has no weights: there is no .safetensors file in it");
}

/// Opens the shards one after the other and keeps of each tensor the one that the index means.
class FolderReader {
 public:
  explicit FolderReader(const std::string& folder) : folder_(folder) {
    parts_.path = folder;
    parts_.naming = Naming::kHuggingFace;
    parts_.metadata = read_configs(folder);
  }

  std::shared_ptr<const Checkpoint> read() {
    const WeightFiles files = find_weight_files(folder_);
    if (!files.index.empty()) {
      read_indexed(files.index);
    } else {
      if (files.paths.empty()) fail_without_weights(folder_);
      require_all_shards(files.paths);
      for (const std::string& path : files.paths) read_file(path, nullptr);
    }
    add_folder_weights(tensors_, parts_);
    return std::make_shared<const Checkpoint>(std::move(parts_));
  }

 private:
  void read_indexed(const std::string& index) {
    const std::map<std::string, std::string> file_of = read_index(index);
    std::map<std::string, size_t> tensors_in;  // how many the index promises of each file
    for (const auto& [tensor, file] : file_of) ++tensors_in[file];
    if (tensors_in.empty()) fail(index, "names no tensors");
    std::string missing;
    for (const auto& [file, count] : tensors_in) {
      if (!is_file(join(folder_, file))) missing += (missing.empty() ? "" : ", ") + in_quotes(file);
    }
    if (!missing.empty()) {
      throw Error(ErrorKind::kModelNotFound,
                  fmt::format("{}: of the {} files that {} names these are missing: {}; fetch them into that folder",
                              folder_, tensors_in.size(), kIndexName, missing));
    }
    for (const auto& [file, count] : tensors_in) read_file(join(folder_, file), &file_of);
    for (const auto& [tensor, file] : file_of) {
      if (!file_of_tensor_.contains(tensor)) {
        fail(index, fmt::format("tensor {} should be in {}, but is not; fetch both again", in_quotes(tensor), file));
      }
    }
  }

  /// Shards by their names alone, where no index says how many there are.
  static void require_all_shards(const std::vector<std::string>& paths) {
    const std::optional<ShardName> first = parse_shard_name(paths.front(), kExtension);
    if (!first) return;
    std::string missing;
    for (int number = 1; number <= first->count; ++number) {
      const std::string path = first->path_of(number, kExtension);
      if (!is_file(path)) missing += (missing.empty() ? "" : ", ") + fs::path(path).filename().string();
    }
    if (!missing.empty()) {
      throw Error(ErrorKind::kModelNotFound,
                  fmt::format("{}: of its {} shards these are missing: {}; fetch them into the same folder",
                              paths.front(), first->count, missing));
    }
  }

  void read_file(const std::string& path, const std::map<std::string, std::string>* file_of) {
    auto file = map_whole(path);
    std::vector<SafetensorsTensor> tensors = parse_safetensors(file->bytes(), path);
    // Zeros in place of lost pages may have parsed.
    if (file->damaged()) fail(path, "was truncated while being read");
    for (SafetensorsTensor& tensor : tensors) {
      if (file_of != nullptr) {
        const auto meant = file_of->find(tensor.name);
        if (meant != file_of->end() && join(folder_, meant->second) != path) continue;
      }
      const auto [other, is_new] = file_of_tensor_.emplace(tensor.name, path);
      if (!is_new) {
        fail(path, fmt::format("tensor {} is also in {}", in_quotes(tensor.name),
                               fs::path(other->second).filename().string()));
      }
      tensors_.push_back(std::move(tensor));
    }
    parts_.files.push_back(std::move(file));
  }

  const std::string& folder_;
  Checkpoint::Parts parts_;
  std::vector<SafetensorsTensor> tensors_;
  std::unordered_map<std::string, std::string> file_of_tensor_;
};

}  // namespace

WeightFiles find_weight_files(const std::string& folder) {
  WeightFiles files;
  const std::string index = join(folder, kIndexName);
  const std::string single = join(folder, kSingleName);
  if (is_file(index)) files.index = index;
  std::vector<std::string> others;
  for (const std::string& name : names_in(folder)) {
    const std::string path = join(folder, name);
    if (!name.ends_with(kExtension) || name.starts_with("adapter_") || !is_file(path)) continue;
    // Repositories may hold the same weights once more under a name of their maker's.
    (name.starts_with("model") ? files.paths : others).push_back(path);
  }
  if (files.index.empty() && is_file(single)) files.paths = {single};
  if (files.paths.empty() && others.size() == 1) files.paths = others;
  return files;
}

bool is_hugging_face_folder(const std::string& folder) {
  if (!is_file(join(folder, "config.json"))) return false;
  const WeightFiles files = find_weight_files(folder);
  return !files.index.empty() || !files.paths.empty();
}

std::shared_ptr<const Checkpoint> open_hugging_face_folder(const std::string& folder) {
  return FolderReader(folder).read();
}

}  // namespace megalith
