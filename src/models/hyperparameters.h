#pragma once
// Hyperparameters of a GGUF file, or of a folder read as one (hugging_face.h), checked as they are read: every refusal
// names the file, the key and its value.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/checkpoint.h"

namespace megalith {

/// Both ends belong to it.
struct IntegerRange {
  int64_t least;
  int64_t most;
};
struct NumberRange {
  double least;
  double most;
};

/// Of any row or head: far above any model there is, far below what would overflow a product of them.
inline constexpr IntegerRange kWidthRange{1, 1 << 22};

/// The keys of one architecture: "heads" is read from "llama.heads". Throws kInvalidModel for a missing key, a wrong
/// type, or a value outside the range.
class Hyperparameters {
 public:
  /// `checkpoint` must outlive it.
  Hyperparameters(const Checkpoint& checkpoint, std::string_view architecture);

  std::string key(std::string_view name) const;
  int32_t integer(std::string_view name, IntegerRange range) const;
  std::optional<int32_t> find_integer(std::string_view name, IntegerRange range) const;
  double number(std::string_view name, NumberRange range) const;
  std::optional<double> find_number(std::string_view name, NumberRange range) const;
  std::optional<std::string_view> find_string(std::string_view name) const;
  const MetadataValue* find(std::string_view name) const;

  /// Throws kInvalidModel: "FILE: key 'llama.NAME' is VALUE, WHY".
  [[noreturn]] void refuse(std::string_view name, std::string_view why) const;

 private:
  const Checkpoint& checkpoint_;
  const std::string prefix_;
};

/// Sizes of a decoder whose layers are alike but for what they see.
struct DecoderShape {
  int32_t layers = 0;
  int32_t hidden_width = 0;
  int32_t intermediate_width = 0;
  int32_t heads = 0;        // of queries
  int32_t kv_heads = 0;     // divides heads
  int32_t key_width = 0;    // of one head
  int32_t value_width = 0;  // of one head
  int32_t vocabulary_size = 0;
  int32_t context_tokens = 0;
  std::vector<int32_t> windows;  // [layers] positions that a query sees, its own the last; 0: all
  float epsilon = 0.0F;          // of the RMS norms

  int64_t query_size() const { return static_cast<int64_t>(heads) * key_width; }
  int64_t key_size() const { return static_cast<int64_t>(kv_heads) * key_width; }
  int64_t value_size() const { return static_cast<int64_t>(kv_heads) * value_width; }
  int64_t attended_size() const { return static_cast<int64_t>(heads) * value_width; }
};

/// Which layers a sliding window holds for, where the file does not say.
struct WindowPattern {
  int32_t global_every = 0;  // the last of so many layers sees all; 0: the window holds for every layer
};

/// Reads the keys that all decoders share and checks them against each other, the embedding and the token list.
DecoderShape read_decoder_shape(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters,
                                WindowPattern pattern = {});

}  // namespace megalith
