#pragma once
// A model as it lies on disk: named weights on the mapping and typed metadata, validated before use. Every view lies
// inside its file; nothing here is trusted further.
#include <cstdint>
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
};

/// Integers of any width are int64_t; uint64_t only where the value does not fit that.
using MetadataValue = std::variant<bool, int64_t, uint64_t, double, std::string_view, std::vector<bool>,
                                   std::vector<int64_t>, std::vector<double>, std::vector<std::string_view>>;

/// Typed key-value pairs, in file order. Strings are views on the mapping. Errors name the file and the key.
class Metadata {
 public:
  struct Entry {
    std::string key;
    MetadataValue value;
  };
  explicit Metadata(std::string source = {}) : source_(std::move(source)) {}
  /// Throws kInvalidModel if the key is already there.
  void add(std::string key, MetadataValue value);

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
};

class Checkpoint {
 public:
  Checkpoint(std::vector<std::shared_ptr<const MappedFile>> files, Metadata metadata, std::vector<NamedWeight> weights);
  Checkpoint(const Checkpoint&) = delete;  // the index points into weights_
  Checkpoint& operator=(const Checkpoint&) = delete;

  /// File of the first shard, for messages.
  const std::string& path() const { return files_.front()->path(); }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<NamedWeight>& weights() const { return weights_; }
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
  std::vector<std::shared_ptr<const MappedFile>> files_;
  Metadata metadata_;
  std::vector<NamedWeight> weights_;
  std::unordered_map<std::string_view, size_t> index_;
};

/// Opens a checkpoint by its path: a .gguf file (any shard of a split opens all of them).
/// Throws kModelNotFound (missing shards are named all at once), or kInvalidModel with file, field and cause.
std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& path);

}  // namespace megalith
