#include "hub/folders.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "files/hugging_face_folder.h"
#include "files/shards.h"

namespace megalith::folders {

namespace fs = std::filesystem;

namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
char upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

/// The last part of a stem, if it reads like a quantisation: Q4_K_M, IQ3_XXS, F16, BF16, MXFP4, TQ1_0.
std::string quantisation_of(std::string_view stem) {
  const size_t cut = stem.find_last_of("-.");
  if (cut == std::string_view::npos) return {};
  std::string part(stem.substr(cut + 1));
  std::transform(part.begin(), part.end(), part.begin(), upper);
  for (const std::string_view prefix : {"Q", "IQ", "TQ", "F", "BF", "MXFP", "NVFP"}) {
    if (part.size() > prefix.size() && part.starts_with(prefix) && is_digit(part[prefix.size()])) return part;
  }
  return {};
}

uint64_t size_or_zero(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

std::optional<ModelFile> as_model_file(const fs::path& path) {
  std::error_code error;
  const std::string file_name = path.filename().string();
  constexpr std::string_view kExtension = ".gguf";
  if (!ends_with_ignoring_case(file_name, kExtension) || file_name.size() == kExtension.size()) return std::nullopt;
  if (equal_ignoring_case(std::string_view(file_name).substr(0, 6), "mmproj")) return std::nullopt;
  if (!fs::is_regular_file(path, error)) return std::nullopt;  // follows links, as the Hugging Face cache needs
  ModelFile file;
  file.path = path.string();
  file.file_name = file_name;
  file.stem = file_name.substr(0, file_name.size() - kExtension.size());
  if (const auto shard = parse_shard_name(file.path)) {
    if (shard->number != 1) return std::nullopt;
    file.stem = fs::path(shard->prefix).filename().string();
    for (int number = 1; number <= shard->count; ++number) file.size_bytes += size_or_zero(shard->path_of(number));
  } else {
    file.size_bytes = size_or_zero(file.path);
  }
  file.quantisation = quantisation_of(file.stem);
  return file;
}

std::optional<ModelFile> as_model_folder(const std::string& folder, std::string_view name) {
  if (!is_hugging_face_folder(folder)) return std::nullopt;
  ModelFile model;
  model.path = folder;
  model.file_name = name;
  model.stem = name;
  for (const std::string& path : find_weight_files(folder).paths) model.size_bytes += size_or_zero(path);
  return model;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_plain_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name != "." && name != ".." && std::all_of(name.begin(), name.end(), is_plain);
}

std::vector<std::string> entries(const std::string& folder) {
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

std::vector<ModelFile> model_files(const std::string& folder, Depth depth) {
  constexpr int kMaxDepth = 4;  // repositories keep quantisations one level down at most
  std::vector<ModelFile> files;
  if (auto model = as_model_folder(folder, kSafetensors)) files.push_back(std::move(*model));
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    if (depth == Depth::kThisFolder || entry.depth() >= kMaxDepth) entry.disable_recursion_pending();
    if (auto file = as_model_file(entry->path())) files.push_back(std::move(*file));
    entry.increment(error);
  }
  std::sort(files.begin(), files.end(), [](const ModelFile& a, const ModelFile& b) { return a.path < b.path; });
  return files;
}

std::vector<ModelFile> model_folders(const std::string& folder) {
  std::vector<ModelFile> models;
  for (const std::string& name : entries(folder)) {
    if (auto model = as_model_folder(folder + "/" + name, name)) models.push_back(std::move(*model));
  }
  return models;
}

std::string hugging_face_snapshot(const std::string& cache, std::string_view repository) {
  std::string folder(repository);
  const size_t slash = folder.find('/');
  if (slash == std::string::npos) return {};
  folder.replace(slash, 1, "--");
  const std::string base = cache + "/models--" + folder;
  std::error_code error;
  std::string revision;
  std::ifstream(base + "/refs/main") >> revision;
  const std::string snapshots = base + "/snapshots/";
  if (is_plain_name(revision) && fs::is_directory(snapshots + revision, error)) return snapshots + revision;
  std::string newest;
  fs::file_time_type newest_time = fs::file_time_type::min();
  for (const std::string& name : entries(snapshots)) {
    const auto time = fs::last_write_time(snapshots + name, error);
    if (error || !fs::is_directory(snapshots + name, error) || time < newest_time) continue;
    newest = snapshots + name;
    newest_time = time;
  }
  return newest;
}

std::vector<std::string> hugging_face_repositories(const std::string& cache) {
  constexpr std::string_view kPrefix = "models--";
  std::vector<std::string> repositories;
  for (const std::string& entry : entries(cache)) {
    const size_t separator = entry.find("--", kPrefix.size());
    if (!entry.starts_with(kPrefix) || separator == std::string::npos) continue;
    repositories.push_back(entry.substr(kPrefix.size(), separator - kPrefix.size()) + "/" +
                           entry.substr(separator + 2));
  }
  return repositories;
}

}  // namespace megalith::folders
