#pragma once
// Ollama's store: manifests/<registry>/<namespace>/<model>/<tag> (JSON) name blobs/sha256-<hex>, of which the layer of
// media type application/vnd.ollama.image.model is a GGUF file.
#include <string>
#include <string_view>
#include <vector>

#include "hub/hub.h"

namespace megalith::ollama {

/// `name`: what follows "ollama:", name[:tag], with an optional namespace/ or registry/namespace/ before it.
/// Throws kUsage for a name that cannot be one, kModelNotFound if there is no such manifest or blob, kInvalidModel for
/// a manifest that makes no sense.
std::string resolve(std::string_view name, const std::string& models_folder);

/// The name of the model's file among the blobs, "sha256-<hex>", from a manifest's text. `path`: the manifest's, for
/// messages. Throws kInvalidModel.
std::string blob_of_manifest(const std::string& text, const std::string& path);

/// Every model whose manifest and blob are sound.
std::vector<LocalModel> list(const std::string& models_folder);

}  // namespace megalith::ollama
