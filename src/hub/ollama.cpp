#include "hub/ollama.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/utf8.h"
#include "hub/folders.h"

namespace megalith::ollama {

namespace fs = std::filesystem;

namespace {

constexpr const char* kDefaultRegistry = "registry.ollama.ai";
constexpr const char* kDefaultNamespace = "library";
constexpr const char* kDefaultTag = "latest";
constexpr const char* kModelMediaType = "application/vnd.ollama.image.model";
constexpr size_t kMaxManifestBytes = 1 << 20;

[[noreturn]] void fail_manifest(const std::string& path, std::string_view cause) {
  throw Error(ErrorKind::kInvalidModel, fmt::format("{}: this Ollama manifest {}; pull the model again", path, cause));
}

std::string read_manifest(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxManifestBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.empty()) fail_manifest(path, "cannot be read or is empty");
  if (text.size() > kMaxManifestBytes) fail_manifest(path, "is larger than 1 MiB");
  return text;
}

/// "sha256:<64 hex>" -> "sha256-<64 hex>"; empty for anything else, so that a digest can never be a path.
std::string blob_name(const std::string& digest) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr size_t kHexDigits = 64;
  if (!digest.starts_with(kPrefix) || digest.size() != kPrefix.size() + kHexDigits) return {};
  const std::string hex = digest.substr(kPrefix.size());
  if (hex.find_first_not_of("0123456789abcdef") != std::string::npos) return {};
  return "sha256-" + hex;
}

/// Path of the model's blob.
std::string model_blob(const std::string& manifest_path, const std::string& models_folder) {
  const std::string path = models_folder + "/blobs/" + blob_of_manifest(read_manifest(manifest_path), manifest_path);
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    throw Error(ErrorKind::kModelNotFound,
                fmt::format("{}: its model file {} is missing; pull the model again", manifest_path, path));
  }
  return path;
}

struct Name {
  std::string registry = kDefaultRegistry;
  std::string name_space = kDefaultNamespace;
  std::string model;
  std::string tag = kDefaultTag;

  std::string manifest_path(const std::string& models_folder) const {
    return fmt::format("{}/manifests/{}/{}/{}/{}", models_folder, registry, name_space, model, tag);
  }
  std::string written() const {
    const std::string before = registry != kDefaultRegistry      ? registry + "/" + name_space + "/"
                               : name_space != kDefaultNamespace ? name_space + "/"
                                                                 : "";
    return "ollama:" + before + model + ":" + tag;
  }
};

Name parse_name(std::string_view text) {
  Name name;
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  std::string& last = parts.back();
  if (const size_t colon = last.find(':'); colon != std::string::npos) {
    name.tag = last.substr(colon + 1);
    last.resize(colon);
  }
  name.model = last;
  if (parts.size() >= 2) name.name_space = parts[parts.size() - 2];
  if (parts.size() >= 3) name.registry = parts[parts.size() - 3];
  bool is_sound = parts.size() <= 3;
  for (const std::string& part : {name.registry, name.name_space, name.model, name.tag}) {
    is_sound = is_sound && folders::is_plain_name(part);
  }
  if (!is_sound) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{} is not a name like ollama:llama3.2:1b", in_quotes("ollama:" + std::string(text))));
  }
  return name;
}

}  // namespace

std::string blob_of_manifest(const std::string& text, const std::string& path) {
  const auto manifest = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (manifest.is_discarded() || !manifest.is_object()) fail_manifest(path, "is not a JSON object");
  const auto layers = manifest.find("layers");
  if (layers == manifest.end() || !layers->is_array()) fail_manifest(path, "has no list 'layers'");
  std::string blob;
  for (const auto& layer : *layers) {
    if (!layer.is_object()) fail_manifest(path, "has a layer that is not an object");
    const auto type = layer.find("mediaType");
    if (type == layer.end() || !type->is_string() || type->get_ref<const std::string&>() != kModelMediaType) continue;
    if (!blob.empty()) fail_manifest(path, "names several model files, which megalith does not read");
    const auto digest = layer.find("digest");
    if (digest != layer.end() && digest->is_string()) blob = blob_name(digest->get_ref<const std::string&>());
    if (blob.empty()) fail_manifest(path, "has a model layer whose digest is not sha256:<64 hex digits>");
  }
  if (blob.empty()) fail_manifest(path, "names no model file");
  return blob;
}

std::string resolve(std::string_view name, const std::string& models_folder) {
  const Name parsed = parse_name(name);
  const std::string manifest = parsed.manifest_path(models_folder);
  std::error_code error;
  if (!fs::is_regular_file(manifest, error)) {
    throw Error(ErrorKind::kModelNotFound,
                fmt::format("Ollama has no model {} (no manifest {})", in_quotes(parsed.written()), manifest));
  }
  return model_blob(manifest, models_folder);
}

std::vector<LocalModel> list(const std::string& models_folder) {
  std::vector<LocalModel> models;
  const std::string manifests = models_folder + "/manifests";
  for (const std::string& registry : folders::entries(manifests)) {
    for (const std::string& name_space : folders::entries(manifests + "/" + registry)) {
      const std::string below = fmt::format("{}/{}/{}", manifests, registry, name_space);
      for (const std::string& model : folders::entries(below)) {
        for (const std::string& tag : folders::entries(below + "/" + model)) {
          try {
            const std::string path = model_blob(below + "/" + model + "/" + tag, models_folder);
            models.push_back({Name{registry, name_space, model, tag}.written(), path, "Ollama", fs::file_size(path)});
          } catch (const std::exception&) {
            // Broken or half pulled: `resolve` says so when it is asked for.
          }
        }
      }
    }
  }
  return models;
}

}  // namespace megalith::ollama
