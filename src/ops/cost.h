#pragma once
// What each op costs: the one place, used by every backend's metering and by counting.h.
#include <cstdint>

#include "base/cost_meter.h"
#include "ops/ops.h"

namespace megalith::cost {

/// Every weight byte is read once, whatever the number of rows; one multiply-add for each weight and row.
Cost linear(uint64_t weight_bytes, int64_t out, int64_t in, int64_t rows);
/// One row of the table for each token.
Cost embed(uint64_t row_bytes, int64_t tokens);
/// K and V of all positions that some token of the step sees read once for each sequence and step, the new ones
/// written.
Cost attention(const PagedKv& layer, int32_t heads, const Batch& batch);
/// The kernel and the last inputs of each sequence, read and written.
Cost short_conv(const Recurrent& layer, uint64_t kernel_bytes, const Batch& batch);
/// Each head's matrix read and written once for each sequence and step.
Cost gated_delta(const Recurrent& layer, const Batch& batch);
/// Elementwise ops and norms: nothing read from the file but `weight_bytes`.
Cost elementwise(uint64_t weight_bytes);

}  // namespace megalith::cost
