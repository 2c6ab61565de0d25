#include "ops/weight_table.h"

namespace megalith {

Weight WeightTable::adopt(const NamedWeight& weight) {
  const auto found = index_.find(weight.name);
  if (found != index_.end()) return found->second;
  Entry entry{.name = weight.name, .view = weight.view, .vector = {}};
  if (entry.view.rows == 1) {
    entry.vector.resize(static_cast<size_t>(entry.view.columns));
    format_info(entry.view.format).decode(entry.view, 0, 0, entry.vector);
    if (weight.vector_offset != 0.0F) {
      for (float& value : entry.vector) value = value + weight.vector_offset;
    }
  }
  const Weight adopted{
      .rows = weight.view.rows, .columns = weight.view.columns, .id = static_cast<int32_t>(entries_.size())};
  entries_.push_back(std::move(entry));
  index_.emplace(weight.name, adopted);
  return adopted;
}

}  // namespace megalith
