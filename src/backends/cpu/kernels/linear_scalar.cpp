// The matmul contract of docs/numerics.md in plain loops over the scalar codecs.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "backends/cpu/kernels/linear_kernels.h"

namespace megalith::cpu {
namespace {

constexpr int64_t kAccumulators = 32;

float with_bias(const LinearTask& task, int64_t row, float value) {
  return task.bias == nullptr ? value : value + task.bias[row];
}

void quantised_row(const LinearTask& task, const FormatInfo& info, int64_t row) {
  const int64_t tokens = task.token_end - task.token_begin;
  std::array<float, kTaskTokens> accumulators{};
  for (int64_t group = 0; group < task.columns / GroupTerms::kSize; ++group) {
    const GroupTerms terms = info.terms(*task.weight, row, group);
    const int64_t superblock = group / kSuperblockGroups;
    const int64_t place = group % kSuperblockGroups * block_tokens(task.padded_tokens);
    for (int64_t token = 0; token < tokens; ++token) {
      const ActivationGroup& x =
          task.groups[group_index(superblock, task.token_begin + token, task.padded_tokens) + place];
      std::array<int32_t, 2> sums{};
      for (int i = 0; i < GroupTerms::kSize; ++i) sums[i / 16] += terms.codes[i] * x.codes[i];
      float accumulator = accumulators[token];
      if (info.has_two_scales) {
        accumulator = std::fma(terms.scales[0] * x.scale, static_cast<float>(sums[0]), accumulator);
        accumulator = std::fma(terms.scales[1] * x.scale, static_cast<float>(sums[1]), accumulator);
      } else {
        accumulator = std::fma(terms.scales[0] * x.scale, static_cast<float>(sums[0] + sums[1]), accumulator);
      }
      if (info.has_offset) {
        const int32_t offset_sum = terms.offset_codes[0] * x.half_sums[0] + terms.offset_codes[1] * x.half_sums[1];
        accumulator = std::fma(-terms.offset, x.scale * static_cast<float>(offset_sum), accumulator);
      }
      accumulators[token] = accumulator;
    }
  }
  for (int64_t token = 0; token < tokens; ++token) {
    task.out[(task.token_begin + token) * task.out_stride + row] = with_bias(task, row, accumulators[token]);
  }
}

float float_dot(const float* weights, const float* x, int64_t columns) {
  std::array<float, kAccumulators> sums{};
  for (int64_t k = 0; k < columns; ++k) sums[k % kAccumulators] = std::fma(weights[k], x[k], sums[k % kAccumulators]);
  for (int64_t half = kAccumulators / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) sums[j] += sums[j + half];
  }
  return sums[0];
}

double scalar_peak(int64_t iterations, int32_t* sink) {
  std::array<int32_t, 8> sums{};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int j = 0; j < 8; ++j) sums[j] += static_cast<int8_t>(i + j) * static_cast<int8_t>(sums[j]);
  }
  for (const int32_t sum : sums) *sink += sum;
  return static_cast<double>(iterations) * 8;
}

}  // namespace

const PeakProbe kScalarPeaks[1] = {{"integer", scalar_peak}};

void linear_by_codec(const LinearTask& task) {
  const FormatInfo& info = format_info(task.weight->format);
  if (info.quantised()) {
    for (int64_t row = task.row_begin; row < task.row_end; ++row) quantised_row(task, info, row);
    return;
  }
  std::vector<float> weights(task.columns);
  for (int64_t row = task.row_begin; row < task.row_end; ++row) {
    info.decode(*task.weight, row, 0, weights);
    for (int64_t token = task.token_begin; token < task.token_end; ++token) {
      const float value = float_dot(weights.data(), task.input + token * task.columns, task.columns);
      task.out[token * task.out_stride + row] = with_bias(task, row, value);
    }
  }
}

bool quantise_plain(const float* row, int64_t n_groups, ActivationGroup* groups, int64_t stride) {
  bool finite = true;
  for (int64_t g = 0; g < n_groups; ++g) {
    const float* x = row + g * GroupTerms::kSize;
    ActivationGroup& group = groups[g * stride];
    float largest = 0;
    for (int i = 0; i < GroupTerms::kSize; ++i) {
      finite = finite && std::isfinite(x[i]);
      largest = std::max(largest, std::fabs(x[i]));
    }
    const float inverse = 127.0F / largest;
    const bool zero = !finite || largest == 0.0F || std::isinf(inverse);
    group.half_sums[0] = group.half_sums[1] = 0;
    for (int i = 0; i < GroupTerms::kSize; ++i) {
      const auto code = zero ? int8_t{0} : static_cast<int8_t>(std::nearbyint(x[i] * inverse));
      group.codes[i] = code;
      group.half_sums[i / 16] += code;
    }
    group.scale = zero ? 0.0F : largest / 127.0F;
    group.sum = group.half_sums[0] + group.half_sums[1];
    group.scaled_sum = group.scale * static_cast<float>(group.sum);
  }
  return finite;
}

}  // namespace megalith::cpu
