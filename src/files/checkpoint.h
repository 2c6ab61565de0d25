#pragma once
// A model as it lies on disk: named weights on the mapping and typed metadata, validated before use. Every view lies
// inside its file; nothing here is trusted further.
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/mapped_file.h"
#include "formats/format_table.h"

namespace megalith {

/// A tensor of a checkpoint. Shape is outermost first, as PyTorch writes it (GGUF stores the reverse):
/// a matrix is [out, in], a stack of expert matrices [experts, out, in].
struct NamedWeight {
  std::string name;
  std::vector<int64_t> shape;  // 1 to 4 dimensions, each >= 1
  WeightView view;             // rows = product of all but the last dimension, columns = the last
  /// Added to each value of a vector when it is adopted: some files keep the gains of their norms less one.
  float vector_offset = 0.0F;
};

/// Integers of any width are int64_t; uint64_t only where the value does not fit that.
using MetadataValue = std::variant<bool, int64_t, uint64_t, double, std::string_view, std::vector<bool>,
                                   std::vector<int64_t>, std::vector<double>, std::vector<std::string_view>>;

/// Typed key-value pairs, in file order. Strings are views on the mapping, or on a text that the Metadata keeps
/// (`keep`). Errors name the file and the key.
class Metadata {
 public:
  struct Entry {
    std::string key;
    MetadataValue value;
  };
  explicit Metadata(std::string source = {}) : source_(std::move(source)) {}
  /// Throws kInvalidModel if the key is already there.
  void add(std::string key, MetadataValue value);
  /// A text of no mapping, kept as long as this Metadata or a copy of it: for values that a file has escaped.
  std::string_view keep(std::string text);

  const std::string& source() const { return source_; }
  const std::vector<Entry>& entries() const { return entries_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  const MetadataValue* find(std::string_view key) const;

  // Required values: throw kInvalidModel if the key is missing or of another type.
  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;  // integers too
  std::string_view string(std::string_view key) const;
  bool boolean(std::string_view key) const;
  // Optional values: nullopt (or an empty vector) if missing; still throw if of another type.
  std::optional<int64_t> find_integer(std::string_view key) const;
  std::optional<double> find_number(std::string_view key) const;
  std::optional<std::string_view> find_string(std::string_view key) const;
  std::optional<bool> find_boolean(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<bool> booleans(std::string_view key) const;

 private:
  std::string source_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
  std::shared_ptr<std::deque<std::string>> kept_;
};

/// Who named the tensors and the keys of the metadata.
enum class Naming {
  kGguf,  // blk.0.attn_q.weight; general.architecture
  /// The tensors' own names, model.layers.0.self_attn.q_proj.weight; a quantised weight of several planes goes by its
  /// module's name and `.weight`, as it would if it were not quantised. Metadata: config.json and
  /// generation_config.json, flattened with dots under `config.` and `generation_config.`: config.hidden_size,
  /// config.architectures (a list), config.rope_parameters.rope_theta. Nulls and empty lists are left out; lists of
  /// lists, of objects or of mixed types are flattened by position (config.groups.0.name).
  kHuggingFace,
};

/// A tensor that is there but is no weight: of a type that nothing computes with, of no elements, or of five
/// dimensions. No fault as long as no model asks for it.
struct SkippedTensor {
  std::string name;
  std::string why;  // "has the type I64"
};

class Checkpoint {
 public:
  struct Parts {
    std::string path;
    Naming naming = Naming::kGguf;
    std::vector<std::shared_ptr<const MappedFile>> files;
    Metadata metadata;
    std::vector<NamedWeight> weights;
    std::vector<SkippedTensor> skipped;
    std::vector<std::unique_ptr<const std::vector<int32_t>>> column_orders;  // that views of the weights point to
  };
  /// Throws kInvalidModel if two weights have one name.
  explicit Checkpoint(Parts parts);
  Checkpoint(const Checkpoint&) = delete;  // the index points into the weights
  Checkpoint& operator=(const Checkpoint&) = delete;

  /// For messages: the first shard of a GGUF; the folder of Hugging Face's kind, in which its other files lie.
  const std::string& path() const { return parts_.path; }
  Naming naming() const { return parts_.naming; }
  const Metadata& metadata() const { return parts_.metadata; }
  const std::vector<NamedWeight>& weights() const { return parts_.weights; }
  const std::vector<SkippedTensor>& skipped() const { return parts_.skipped; }
  /// Null if there is none of that name.
  const NamedWeight* find(std::string_view name) const;
  /// Throws kInvalidModel naming the tensor if it is missing, and both shapes if they differ.
  const NamedWeight& require(std::string_view name, std::span<const int64_t> shape) const;
  /// Bytes of all weights.
  uint64_t weight_bytes() const;
  uint64_t file_bytes() const;
  /// Throws kRuntime naming the file if one was truncated while mapped.
  void check_intact() const;

 private:
  Parts parts_;
  std::unordered_map<std::string_view, size_t> index_;
};

/// Opens a checkpoint by its path: a .gguf file (any shard of a split opens all of them), a folder of Hugging Face's
/// kind with config.json and safetensors, or one of its .safetensors files or its index, which mean the folder. Throws
/// kModelNotFound (missing shards are named all at once), or kInvalidModel with file, field and cause.
std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& path);

}  // namespace megalith
