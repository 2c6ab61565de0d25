#include "backends/cpu/rope_tables.h"

#include <algorithm>

#include "ops/math.h"

namespace megalith::cpu {

const RopeTables::Table& RopeTables::get(const Rope& rope, std::span<const int32_t> positions, ThreadPool& pool) {
  for (size_t i = 0; i < used_; ++i) {
    const Table& table = tables_[i];
    if (table.style == rope.style && table.magnitude == rope.magnitude &&
        table.inverse_frequencies == rope.inverse_frequencies) {
      return table;
    }
  }
  if (used_ == tables_.size()) tables_.emplace_back();
  Table& table = tables_[used_++];
  table.inverse_frequencies = rope.inverse_frequencies;
  table.magnitude = rope.magnitude;
  table.style = rope.style;
  const auto n_pairs = static_cast<int64_t>(rope.inverse_frequencies.size());
  table.width = rope.style == RopeStyle::kHalves ? n_pairs : 2 * n_pairs;
  table.cosine.resize(positions.size() * static_cast<size_t>(table.width));
  table.sine.resize(table.cosine.size());
  fill(table, positions, pool);
  return table;
}

void RopeTables::fill(Table& table, std::span<const int32_t> positions, ThreadPool& pool) {
  const auto fill_row = [&table, positions](int64_t row) {
    float* cosine = table.cosine.data() + row * table.width;
    float* sine = table.sine.data() + row * table.width;
    for (size_t i = 0; i < table.inverse_frequencies.size(); ++i) {
      const SinCos exact =
          sin_cos(static_cast<float>(positions[static_cast<size_t>(row)]) * table.inverse_frequencies[i]);
      const float c = exact.cos * table.magnitude;
      const float s = exact.sin * table.magnitude;
      if (table.style == RopeStyle::kHalves) {
        cosine[i] = c;
        sine[i] = s;
      } else {
        cosine[2 * i] = cosine[2 * i + 1] = c;
        sine[2 * i] = -s;
        sine[2 * i + 1] = s;
      }
    }
  };
  constexpr int64_t kFewRows = 16;
  const auto n_rows = static_cast<int64_t>(positions.size());
  if (n_rows <= kFewRows) {
    for (int64_t row = 0; row < n_rows; ++row) fill_row(row);
  } else {
    pool.parallel_for(n_rows, [&fill_row](int64_t row, int) { fill_row(row); });
  }
}

}  // namespace megalith::cpu
