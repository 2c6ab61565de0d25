#include <fmt/core.h>
#include <fmt/format.h>

#include <array>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "models/families.h"
#include "models/hugging_face.h"
#include "models/model.h"

namespace megalith {

namespace {

constexpr std::array kArchitectures{
    Architecture{"llama", load_llama, &kLlamaFolders},
    Architecture{"qwen2", load_qwen2, &kQwen2Folders},
    Architecture{"qwen3", load_qwen3, &kQwen3Folders},
    Architecture{"gemma3", load_gemma3, &kGemma3Folders},
    Architecture{"qwen3moe", load_qwen3moe, &kQwen3MoeFolders},
    Architecture{"qwen35moe", load_qwen35moe},
    Architecture{"gpt-oss", load_gpt_oss},
    Architecture{"deepseek2", load_deepseek2},
};

std::unique_ptr<Model> load_folder(const Checkpoint& folder, Ops& ops) {
  const std::string_view name = hugging_face_architecture(folder);
  std::string known;
  for (const Architecture& architecture : architectures()) {
    if (architecture.hugging_face == nullptr) continue;
    for (const std::string_view theirs : architecture.hugging_face->architectures) {
      if (theirs == name) {
        const auto as_gguf = read_as_gguf(folder, architecture.gguf_name, *architecture.hugging_face);
        try {
          return architecture.build(*as_gguf, ops);
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::kInvalidModel) throw;
          throw Error(error.kind(),
                      fmt::format("{} (tensors and keys go by the names that they have in GGUF files)", error.what()));
        }
      }
      known += fmt::format("{}{}", known.empty() ? "" : ", ", theirs);
    }
  }
  throw Error(
      ErrorKind::kInvalidModel,
      fmt::format("{}: key 'config.architectures' is {}, an architecture that megalith does not know; it knows {}",
                  folder.path(), in_quotes(name), known));
}

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

std::unique_ptr<Model> load_model(const Checkpoint& checkpoint, Ops& ops) {
  if (checkpoint.naming() == Naming::kHuggingFace) return load_folder(checkpoint, ops);
  constexpr std::string_view kKey = "general.architecture";
  const std::string_view name = checkpoint.metadata().string(kKey);
  std::string known;
  for (const Architecture& architecture : architectures()) {
    if (architecture.gguf_name == name) return architecture.build(checkpoint, ops);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", architecture.gguf_name);
  }
  throw Error(ErrorKind::kInvalidModel,
              fmt::format("{}: key '{}' is {}, an architecture that megalith does not know; it knows {}",
                          checkpoint.path(), kKey, in_quotes(name), known));
}

}  // namespace megalith
