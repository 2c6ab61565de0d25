#pragma once
// Folders as Hugging Face's transformers writes them, read as if they were GGUF: their tensors get the names, and their
// config.json the keys, that the families ask for. A family says only what differs from the usual.
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/checkpoint.h"

namespace megalith {

/// A module of a checkpoint, without `.weight` or `.bias`. '#' stands for a number; the numbers of both sides are the
/// same ones in the same order: {"model.layers.#.self_attn.q_proj", "blk.#.attn_q"}.
struct ModuleName {
  std::string_view theirs;
  std::string_view ours;
};

/// A key of config.json without `config.` (or `config.text_config.`), and ours without the architecture.
struct ConfigKey {
  std::string_view theirs;
  std::string_view ours;
};

class HuggingFaceConfig;

struct HuggingFaceFamily {
  std::span<const std::string_view> architectures;  // of config.architectures: {"Qwen3ForCausalLM"}
  std::string_view activation = "silu";             // config.hidden_act or hidden_activation; any other is refused
  std::span<const ModuleName> modules{};            // come before the usual ones, which every family has
  std::span<const ConfigKey> keys{};                // copied as they are, besides the usual ones
  float norm_offset = 0.0F;                         // added to the gains of all norms: some files keep them less one
  /// Whatever takes more than a copy, and what transformers takes for granted; runs last, and `add` changes nothing.
  void (*add_keys)(HuggingFaceConfig& config) = nullptr;
};

/// config.json of a folder and the metadata that it is turned into.
class HuggingFaceConfig {
 public:
  /// `folder` must outlive it; `architecture` is GGUF's name of it.
  HuggingFaceConfig(const Checkpoint& folder, std::string_view architecture);

  /// Theirs: `name` without its `config.`; a model of several parts keeps those of the text in `config.text_config.`.
  std::string key(std::string_view name) const;
  const MetadataValue* find(std::string_view name) const { return folder_.metadata().find(key(name)); }
  const Metadata& metadata() const { return folder_.metadata(); }
  const Checkpoint& folder() const { return folder_; }
  /// Throws kInvalidModel: "FOLDER: key 'config.NAME' is VALUE, WHY".
  [[noreturn]] void refuse(std::string_view name, std::string_view why) const;

  /// Ours: "rope.freq_base" becomes "llama.rope.freq_base". Does nothing if it is there already.
  void add(std::string_view name, MetadataValue value);
  /// Ours from theirs, if they have it.
  void copy(const ConfigKey& key);
  Metadata take() { return std::move(ours_); }

 private:
  const Checkpoint& folder_;
  std::string architecture_;
  std::string part_;  // "config." or "config.text_config."
  Metadata ours_;
};

/// The first of config.architectures. Throws kInvalidModel if there is none.
std::string_view hugging_face_architecture(const Checkpoint& folder);

/// The folder's weights and metadata under the names of GGUF. The weights lie where they lay: `folder` must outlive the
/// result. Tensors of other parts of the model (vision) are left out; those that nothing maps keep their names, so that
/// the family refuses them. Throws kInvalidModel.
std::unique_ptr<const Checkpoint> read_as_gguf(const Checkpoint& folder, std::string_view architecture,
                                               const HuggingFaceFamily& family);

}  // namespace megalith
