#pragma once
// Finds a model's weights by name, checks their shapes, adopts them, and sees to it that none of the file is left over.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "files/checkpoint.h"
#include "ops/ops.h"

namespace megalith {

/// Matrices of one shape in one tensor [parts, out, in].
struct StackShape {
  int64_t parts = 0;
  int64_t out = 0;
  int64_t in = 0;
};

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
  /// [parts, out, in]: each part a weight of its own.
  std::vector<Weight> stack(const std::string& name, const StackShape& shape);
  /// [parts, size]: each row a vector.
  std::vector<Weight> vector_stack(const std::string& name, int64_t parts, int64_t size);
  /// [parts, out, in] as the one weight [parts * out, in] of a linear_per_head.
  Weight heads(const std::string& name, const StackShape& shape);
  /// For a tensor that somebody else reads.
  void mark_used(std::string_view name) { used_.emplace(name); }
  /// Throws kInvalidModel naming a tensor that nobody asked for: an architecture of the same name that computes more
  /// than we do would answer, and wrongly.
  void require_all_used(std::string_view architecture) const;
  /// Of all weights adopted.
  uint64_t parameters() const { return parameters_; }

 private:
  Weight adopt(const NamedWeight& weight);
  /// Rows [part * rows, (part + 1) * rows) of a tensor, for each part.
  std::vector<Weight> split(const NamedWeight& weight, int64_t parts);
  const Checkpoint& checkpoint_;
  Ops& ops_;
  std::unordered_set<std::string> used_;
  uint64_t parameters_ = 0;
};

}  // namespace megalith
