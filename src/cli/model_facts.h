#pragma once
// What can be known of a model without running it. Costs come from the model's own forward pass on an Ops that only
// counts, sizes from the layout that the engine allocates: what is printed is what will be.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "files/checkpoint.h"
#include "models/model.h"
#include "text/tokenizer.h"

namespace megalith::cli {

struct FormatShare {
  Format format = Format::kF32;
  int64_t tensors = 0;
  uint64_t weights = 0;
  uint64_t bytes = 0;
};

struct ModelFacts {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::vector<FormatShare> formats;  // largest first
  uint64_t weights = 0;              // numbers stored in all tensors

  /// None if megalith cannot run the model; then `why_not` says so.
  std::optional<ModelProperties> properties;
  std::string why_not;
  Cost token_cost;  // of one token at the beginning of a context
  uint64_t kv_bytes_per_token = 0;

  std::unique_ptr<Tokenizer> tokenizer;  // null if unknown; then `why_no_tokenizer` says so
  std::string why_no_tokenizer;
  std::optional<std::string> chat_template;
  std::string why_no_template;  // it is there, but cannot be used

  // As the file says it; empty if it does not.
  std::string name;          // of a folder: its own name
  std::string architecture;  // "llama", or as config.json writes it, "LlamaForCausalLM"

  bool runs() const { return properties && tokenizer; }
  /// Bytes of KV that the engine would reserve for a context.
  uint64_t kv_bytes(int64_t context_tokens) const;
};

/// Opens the file. Throws what open_checkpoint throws; an unknown architecture or tokenizer is a fact, not an error.
ModelFacts read_model_facts(const std::string& path);

/// A step of one sequence: `tokens` of it, after `earlier_tokens`; the last one's logits are wanted.
struct StepShape {
  int32_t earlier_tokens = 0;
  int32_t tokens = 1;
};

/// What such a step reads and computes. Throws what load_model throws.
Cost count_step(const Checkpoint& checkpoint, const StepShape& shape);

}  // namespace megalith::cli
