// Any bytes as an Ollama manifest, as a MODEL argument, and as a file's path: an Error of a fitting kind, or a name
// that cannot leave its folder.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "files/shards.h"
#include "hub/hub.h"
#include "hub/ollama.h"

namespace {

using namespace megalith;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_manifest(const std::string& text) {
  try {
    const std::string blob = ollama::blob_of_manifest(text, "manifest");
    require(blob.starts_with("sha256-") && blob.size() == 7 + 64);
    require(blob.find_first_not_of("0123456789abcdef", 7) == std::string::npos);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kInvalidModel);
  }
}

void check_model_argument(const std::string& name) {
  // Folders in which nothing is: whatever is found lies elsewhere.
  Environment environment;
  environment.cache_dir = environment.hugging_face_cache = "/nonexistent";
  environment.ollama_models = environment.lm_studio_models = "/nonexistent";
  try {
    const std::string path = resolve_model(name, environment);
    require(path.find("/nonexistent") == std::string::npos);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kModelNotFound || error.kind() == ErrorKind::kUsage ||
            error.kind() == ErrorKind::kInvalidModel);
  }
}

void check_shard_name(const std::string& path) {
  if (const auto shard = parse_shard_name(path)) {
    require(shard->number >= 1 && shard->number <= shard->count && shard->count <= kMaxShards);
    require(shard->path_of(shard->number) == path);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      check_manifest(text);
      break;
    case 1:
      check_model_argument(text);
      break;
    default:
      check_shard_name(text);
  }
  return 0;
}
