#pragma once
// Finds a model's weights by name, checks their shapes, adopts them, and sees to it that none of the file is left over.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

#include "files/checkpoint.h"
#include "ops/ops.h"

namespace megalith {

enum class Bias { kNone, kOptional, kRequired };

/// Throws kInvalidModel naming the tensor that is missing or misshapen (both shapes).
class WeightLoader {
 public:
  /// Both must outlive it.
  WeightLoader(const Checkpoint& checkpoint, Ops& ops) : checkpoint_(checkpoint), ops_(ops) {}

  bool has(std::string_view name) const { return checkpoint_.find(name) != nullptr; }
  /// [out, in]
  Weight matrix(const std::string& name, int64_t out, int64_t in);
  /// [size]
  Weight vector(const std::string& name, int64_t size);
  /// NAME.weight [out, in] and NAME.bias [out].
  Linear linear(const std::string& name, int64_t out, int64_t in, Bias bias);
  /// For a tensor that somebody else reads.
  void mark_used(std::string_view name) { used_.emplace(name); }
  /// Throws kInvalidModel naming a tensor that nobody asked for: an architecture of the same name that computes more
  /// than we do would answer, and wrongly.
  void require_all_used(std::string_view architecture) const;
  /// Of all weights adopted.
  uint64_t parameters() const { return parameters_; }

 private:
  Weight adopt(const NamedWeight& weight);
  const Checkpoint& checkpoint_;
  Ops& ops_;
  std::unordered_set<std::string> used_;
  uint64_t parameters_ = 0;
};

}  // namespace megalith
