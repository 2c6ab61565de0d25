#include "hub/hub.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <numeric>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/hugging_face_folder.h"
#include "hub/folders.h"
#include "hub/ollama.h"

namespace megalith {

namespace fs = std::filesystem;
using folders::Depth;
using folders::ModelFile;

namespace {

struct ShortName {
  std::string_view name;
  std::string_view file;  // in <cache>/models
};

// What scripts/fetch_model can fetch, under the name it takes.
constexpr std::array kShortNames = {
    ShortName{"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"},
    ShortName{"qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"},
    ShortName{"qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"},
    ShortName{"gemma3-270m", "gemma-3-270m-q4_k_m.gguf"},
};

constexpr std::string_view kDefaultQuantisation = "Q4_K_M";  // as llama.cpp and Ollama choose

std::string models_folder(const Environment& environment) { return environment.cache_dir + "/models"; }

std::string file_list(const std::vector<ModelFile>& files) {
  std::string list;
  for (const ModelFile& file : files) list += "\n  " + file.path;
  return list;
}

[[noreturn]] void fail_not_found(const std::string& message) { throw Error(ErrorKind::kModelNotFound, message); }

/// The models of megalith's cache: files, and folders of Hugging Face's kind.
std::vector<ModelFile> cached_models(const Environment& environment) {
  std::vector<ModelFile> models = folders::model_files(models_folder(environment), Depth::kThisFolder);
  for (ModelFile& model : folders::model_folders(models_folder(environment))) models.push_back(std::move(model));
  return models;
}

std::string only_model_in(const std::string& folder) {
  std::vector<ModelFile> files = folders::model_files(folder, Depth::kThisFolder);
  if (files.size() == 1) return files.front().path;
  const WeightFiles weights = find_weight_files(folder);
  if (!files.empty()) {
    // The folder's own safetensors go by one of their files, since the folder's name would not choose them.
    for (ModelFile& file : files) {
      if (file.path == folder) file.path = weights.index.empty() ? weights.paths.front() : weights.index;
    }
    throw Error(ErrorKind::kUsage,
                fmt::format("{} holds several models; name one of them:{}", folder, file_list(files)));
  }
  const std::vector<std::string> names = folders::entries(folder);
  // Meant to be a model: what it lacks is said when it is opened.
  if (!weights.paths.empty() || std::binary_search(names.begin(), names.end(), "config.json")) return folder;
  std::string found;
  constexpr size_t kMaxShown = 5;
  for (size_t i = 0; i < std::min(names.size(), kMaxShown); ++i) found += (i == 0 ? "" : ", ") + in_quotes(names[i]);
  if (names.size() > kMaxShown) found += ", ...";
  fail_not_found(fmt::format("{} is a folder without a .gguf file or safetensors; it holds {}", folder,
                             names.empty() ? "nothing that can be read" : found));
}

/// Whether `part` stands in `text` between characters that cannot belong to a quantisation's name: Q4_K is not Q4_K_M.
bool holds_word(std::string_view text, std::string_view part) {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (size_t at = 0; at + part.size() <= text.size(); ++at) {
    const size_t end = at + part.size();
    if (folders::equal_ignoring_case(text.substr(at, part.size()), part) && (at == 0 || !is_word(text[at - 1])) &&
        (end == text.size() || !is_word(text[end]))) {
      return true;
    }
  }
  return false;
}

std::vector<ModelFile> matching(const std::vector<ModelFile>& files, std::string_view quantisation) {
  std::vector<ModelFile> matches;
  const auto keep = [&](const auto& condition) {
    if (matches.empty()) std::copy_if(files.begin(), files.end(), std::back_inserter(matches), condition);
  };
  keep([&](const ModelFile& file) { return file.file_name == quantisation || file.stem == quantisation; });
  keep([&](const ModelFile& file) { return folders::equal_ignoring_case(file.quantisation, quantisation); });
  keep([&](const ModelFile& file) { return holds_word(file.stem, quantisation); });
  return matches;
}

struct Repository {
  std::string name;  // org/repo
  std::string folder;
  std::string source;
};

std::vector<ModelFile> files_of(const Repository& repository) {
  return folders::model_files(repository.folder, Depth::kSubfoldersToo);
}

/// The folders that may hold org/repo.
std::vector<Repository> places_of(const std::string& name, const Environment& environment) {
  std::vector<Repository> places;
  const std::string snapshot = folders::hugging_face_snapshot(environment.hugging_face_cache, name);
  if (!snapshot.empty()) places.push_back({name, snapshot, "Hugging Face cache"});
  const std::string folder = environment.lm_studio_models + "/" + name;
  std::error_code error;
  if (fs::is_directory(folder, error)) places.push_back({name, folder, "LM Studio"});
  return places;
}

std::string choose(const Repository& repository, const std::string& quantisation) {
  const std::vector<ModelFile> files = files_of(repository);
  if (files.empty()) {
    fail_not_found(
        fmt::format("{} is in the {} ({}), but without a .gguf file, and without config.json and safetensors: "
                    "megalith reads no other kind",
                    repository.name, repository.source, repository.folder));
  }
  if (quantisation.empty() && files.size() == 1) return files.front().path;
  const std::vector<ModelFile> matches =
      matching(files, quantisation.empty() ? kDefaultQuantisation : std::string_view(quantisation));
  if (matches.size() == 1) return matches.front().path;
  if (matches.empty() && !quantisation.empty()) {
    fail_not_found(fmt::format("{} has no {} in the {}; it has:{}", repository.name, in_quotes(quantisation),
                               repository.source, file_list(files)));
  }
  throw Error(ErrorKind::kUsage,
              fmt::format("{} means several files; name one as {}:FILE or by its path:{}", repository.name,
                          repository.name, file_list(matches.empty() ? files : matches)));
}

/// The path if `model` is org/repo[:quant] and is here.
std::optional<std::string> find_repository(std::string_view model, const Environment& environment) {
  const size_t colon = model.find(':');
  const std::string name(model.substr(0, colon));
  const std::string quantisation(colon == std::string_view::npos ? "" : model.substr(colon + 1));
  const size_t slash = name.find('/');
  if (slash == std::string::npos || !folders::is_plain_name(name.substr(0, slash)) ||
      !folders::is_plain_name(name.substr(slash + 1))) {
    return std::nullopt;
  }
  const std::vector<Repository> places = places_of(name, environment);
  for (const Repository& place : places) {
    const std::vector<ModelFile> files = files_of(place);
    if (!files.empty() && (quantisation.empty() || !matching(files, quantisation).empty())) {
      return choose(place, quantisation);
    }
  }
  if (places.empty()) return std::nullopt;
  return choose(places.front(), quantisation);  // says what is there instead
}

/// The path if `model` is a short name, or a file name or stem, of megalith's cache.
std::optional<std::string> find_in_cache(std::string_view model, const Environment& environment) {
  std::string_view wanted = model;
  for (const ShortName& row : kShortNames) {
    if (folders::equal_ignoring_case(row.name, model)) wanted = row.file;
  }
  for (const ModelFile& file : cached_models(environment)) {
    if (folders::equal_ignoring_case(file.file_name, wanted) || folders::equal_ignoring_case(file.stem, wanted)) {
      return file.path;
    }
  }
  if (wanted != model) {
    fail_not_found(fmt::format("{} is not here yet ({} is missing): run `scripts/fetch_model {}`", in_quotes(model),
                               models_folder(environment) + "/" + std::string(wanted), model));
  }
  return std::nullopt;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = folders::equal_ignoring_case(a.substr(i - 1, 1), b.substr(j - 1, 1));
      const size_t best = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
      diagonal = std::exchange(row[j], best);
    }
  }
  return row[b.size()];
}

/// Up to three names like `model`: "; did you mean a, b?", or nothing.
std::string near_names(std::string_view model, const Environment& environment) {
  constexpr size_t kMaxLength = 256;
  constexpr size_t kMaxShown = 3;
  model = model.substr(0, kMaxLength);
  std::vector<std::string> names;
  for (const LocalModel& local : list_local_models(environment)) names.push_back(local.name);
  for (const ShortName& row : kShortNames) names.emplace_back(row.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& name : names) {
    const bool is_part = holds_word(name, model) || name.starts_with(model);
    const size_t distance = is_part ? 0 : edit_distance(model, std::string_view(name).substr(0, kMaxLength));
    if (distance <= std::max<size_t>(2, model.size() / 4)) near.emplace_back(distance, name);
  }
  std::sort(near.begin(), near.end());
  std::string list;
  for (size_t i = 0; i < std::min(near.size(), kMaxShown); ++i) list += (i == 0 ? "" : ", ") + near[i].second;
  return list.empty() ? "" : "; did you mean " + list + "?";
}

bool is_written_as_path(std::string_view model) {
  return model.starts_with('/') || model.starts_with("./") || model.starts_with("../") || model.starts_with('~');
}

void list_repository(const Repository& repository, std::vector<LocalModel>& models) {
  const std::vector<ModelFile> files = files_of(repository);
  for (const ModelFile& file : files) {
    const auto has_same = [&](const ModelFile& other) { return other.quantisation == file.quantisation; };
    const bool unique = !file.quantisation.empty() && std::count_if(files.begin(), files.end(), has_same) == 1;
    const bool is_whole = files.size() == 1 && file.path == repository.folder;  // it needs no choosing
    models.push_back({repository.name + (is_whole ? "" : ":" + (unique ? file.quantisation : file.stem)), file.path,
                      repository.source, file.size_bytes});
  }
}

}  // namespace

std::string resolve_model(std::string_view model, const Environment& environment) {
  constexpr std::string_view kOllamaPrefix = "ollama:";
  if (model.empty()) throw Error(ErrorKind::kUsage, "no model is named; `smollm2` is the default one");
  if (model.find('\0') != std::string_view::npos) {
    throw Error(ErrorKind::kUsage, fmt::format("{} is not a name", in_quotes(model)));
  }
  if (model.starts_with(kOllamaPrefix)) {
    return ollama::resolve(model.substr(kOllamaPrefix.size()), environment.ollama_models);
  }
  std::string path(model);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  // A folder that happens to be called as a short name does not hide the model; a path can always say ./ before it.
  const bool is_folder = fs::is_directory(status);
  if (is_folder && (is_written_as_path(model) || model.find('/') != std::string_view::npos)) return only_model_in(path);
  if (!is_folder && fs::exists(status)) return path;
  if (is_written_as_path(model)) fail_not_found(fmt::format("there is no file {}", in_quotes(model)));
  if (auto found = find_in_cache(model, environment)) return *found;
  if (auto found = find_repository(model, environment)) return *found;
  if (is_folder) return only_model_in(path);
  fail_not_found(
      fmt::format("no model {} on this machine{}\nlooked for a file of that name and in {}, {}, {} and {}; `megalith "
                  "list` shows what "
                  "is there, `scripts/fetch_model smollm2` fetches the default model",
                  in_quotes(model), near_names(model, environment), models_folder(environment),
                  environment.hugging_face_cache, environment.ollama_models, environment.lm_studio_models));
}

std::vector<LocalModel> list_local_models(const Environment& environment) {
  std::vector<LocalModel> models;
  for (const ModelFile& file : cached_models(environment)) {
    std::string name = file.stem;
    for (const ShortName& row : kShortNames) {
      if (file.file_name == row.file) name = row.name;
    }
    models.push_back({std::move(name), file.path, "megalith cache", file.size_bytes});
  }
  for (const std::string& name : folders::hugging_face_repositories(environment.hugging_face_cache)) {
    const std::string snapshot = folders::hugging_face_snapshot(environment.hugging_face_cache, name);
    if (!snapshot.empty()) list_repository({name, snapshot, "Hugging Face cache"}, models);
  }
  for (const std::string& publisher : folders::entries(environment.lm_studio_models)) {
    for (const std::string& repository : folders::entries(environment.lm_studio_models + "/" + publisher)) {
      const std::string name = publisher + "/" + repository;
      list_repository({name, environment.lm_studio_models + "/" + name, "LM Studio"}, models);
    }
  }
  for (LocalModel& model : ollama::list(environment.ollama_models)) models.push_back(std::move(model));
  std::sort(models.begin(), models.end(), [](const LocalModel& a, const LocalModel& b) {
    return std::tie(a.source, a.name, a.path) < std::tie(b.source, b.name, b.path);
  });
  return models;
}

}  // namespace megalith
