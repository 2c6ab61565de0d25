#pragma once
// Architecture families. One file each (llama.cpp, qwen2.cpp, ...) plus a row in architectures(). A model sees ops.h
// and nothing of any backend.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "files/checkpoint.h"
#include "ops/ops.h"

namespace megalith {

struct HuggingFaceFamily;

struct ModelProperties {
  std::string architecture;  // "llama", "qwen2"
  std::string name;          // general.name, may be empty
  int32_t layers = 0;
  int32_t hidden_width = 0;
  int32_t vocabulary_size = 0;
  int32_t context_tokens = 0;  // that the model was made for
  uint64_t parameters = 0;
  StateLayout state;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelProperties& properties() const = 0;
  /// The logits of batch.output_rows: [output rows, vocabulary]. Call between begin_step(batch) and end_step().
  virtual Tensor forward(Ops& ops, const Batch& batch) const = 0;
};

/// A row of the architecture table.
struct Architecture {
  std::string_view gguf_name;  // general.architecture
  std::unique_ptr<Model> (*build)(const Checkpoint& checkpoint, Ops& ops);
  const HuggingFaceFamily* hugging_face = nullptr;  // null: not from folders
};

std::span<const Architecture> architectures();

/// Reads a GGUF file or a folder of Hugging Face's kind: hyperparameters, checks every tensor's shape and adopts the
/// weights into `ops`. Throws kInvalidModel: unknown architecture (named, with the known ones), missing or misshapen
/// tensors, contradictory or absurd hyperparameters.
std::unique_ptr<Model> load_model(const Checkpoint& checkpoint, Ops& ops);

}  // namespace megalith
