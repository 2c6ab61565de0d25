#pragma once
// The weights that an Ops has adopted: the part that all backends share.
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ops/ops.h"

namespace megalith {

class WeightTable {
 public:
  struct Entry {
    std::string name;
    WeightView view;
    std::vector<float> vector;  // the values of a weight of one row (a gain or a bias), decoded; else empty
  };
  /// Adds a weight, or finds the one of the same name (tied embeddings are adopted twice).
  Weight adopt(const NamedWeight& weight);
  bool contains(const std::string& name) const { return index_.contains(name); }

  const Entry& entry(Weight weight) const { return entries_[static_cast<size_t>(weight.id)]; }
  const WeightView& view(Weight weight) const { return entry(weight).view; }
  const std::string& name(Weight weight) const { return entry(weight).name; }
  /// Values of a gain or bias; null for an absent one.
  const float* vector(Weight weight) const { return weight ? entry(weight).vector.data() : nullptr; }
  uint64_t bytes(Weight weight) const { return weight ? entry(weight).view.bytes() : 0; }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, Weight> index_;
};

}  // namespace megalith
