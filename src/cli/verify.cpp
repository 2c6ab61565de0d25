#include "cli/verify.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"

namespace megalith::cli {

namespace {

constexpr int64_t kRowsAtOnce = 256;

// The column of the first value of a row that is NaN or infinite; -1 if all are finite.
int64_t first_fault(const WeightView& view, const FormatInfo& format, int64_t row, std::vector<float>& values) {
  values.resize(static_cast<size_t>(view.columns));
  format.decode(view, row, 0, values);
  const auto bad = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  return bad == values.end() ? -1 : bad - values.begin();
}

}  // namespace

std::vector<Fault> find_faults(const Checkpoint& checkpoint, int threads, const VerifyHooks& hooks) {
  std::vector<Fault> faults;
  ThreadPool pool(threads);
  std::vector<std::vector<float>> buffers(static_cast<size_t>(threads));
  const auto all_bytes = static_cast<double>(std::max<uint64_t>(1, checkpoint.weight_bytes()));
  double done_bytes = 0;
  for (const NamedWeight& weight : checkpoint.weights()) {
    const WeightView& view = weight.view;
    const FormatInfo& format = format_info(view.format);
    int64_t bad_rows = 0;
    for (int64_t begin = 0; begin < view.rows; begin += kRowsAtOnce) {
      if (hooks.check_interrupt) hooks.check_interrupt();
      const int64_t rows = std::min(kRowsAtOnce, view.rows - begin);
      std::vector<int64_t> bad_columns(static_cast<size_t>(rows), -1);
      pool.parallel_for(rows, [&](int64_t row, int thread) {
        bad_columns[static_cast<size_t>(row)] =
            first_fault(view, format, begin + row, buffers[static_cast<size_t>(thread)]);
      });
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t column = bad_columns[static_cast<size_t>(row)];
        if (column < 0) continue;
        if (bad_rows++ == 0) {
          std::vector<float> values;
          first_fault(view, format, begin + row, values);
          faults.push_back({weight.name, begin + row, column, values[static_cast<size_t>(column)], 0});
        }
        faults.back().bad_rows = bad_rows;
      }
      if (hooks.progress) {
        const double tensor_fraction = static_cast<double>(begin + rows) / static_cast<double>(view.rows);
        hooks.progress((done_bytes + tensor_fraction * static_cast<double>(view.bytes())) / all_bytes);
      }
    }
    done_bytes += static_cast<double>(view.bytes());
  }
  checkpoint.check_intact();
  return faults;
}

}  // namespace megalith::cli
