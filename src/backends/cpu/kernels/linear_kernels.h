#pragma once
// What a matmul kernel is given and what an instruction set offers. Included by files compiled with instruction-set
// flags, so nothing here may instantiate a standard template: an out-of-line copy would leak into the portable binary.
#include <cstddef>
#include <cstdint>

#include "formats/format_table.h"

namespace megalith::cpu {

/// 32 activations of one token, quantised (docs/numerics.md).
struct ActivationGroup {
  int8_t codes[32];
  float scale;           // dx
  float scaled_sum;      // fl(dx * float(sum))
  int32_t sum;           // of all codes
  int32_t half_sums[2];  // of codes 0-15 and of 16-31
};

/// Quantised activations lie as [superblock of 8 groups][token block][8 groups][tokens of the block], a block being up
/// to 4 tokens: contiguous for as long as one unpacked tile of weights is in use, and a group of all four within reach
/// of short instruction offsets. Groups past the last column are not initialised.
constexpr int64_t kSuperblockGroups = 8;
constexpr int64_t kBlockTokens = 4;

/// Tokens of one task at most: float accumulators of a task live in the kernel's own frame.
constexpr int64_t kTaskTokens = 256;

/// Rows that the token dimension of the quantised input is padded to, so that kernels need no token tails.
/// Kernels read the padding and drop what comes of it.
constexpr int64_t padded_tokens(int64_t tokens) {
  return tokens <= 2 ? tokens : (tokens + kBlockTokens - 1) / kBlockTokens * kBlockTokens;
}
constexpr int64_t block_tokens(int64_t padded) { return padded < kBlockTokens ? padded : kBlockTokens; }

/// Where group 0 of a token in a superblock lies; group g is block_tokens(padded) * g further on.
constexpr int64_t group_index(int64_t superblock, int64_t token, int64_t padded) {
  const int64_t block = block_tokens(padded);
  return (superblock * padded + token / block * block) * kSuperblockGroups + token % block;
}

/// Some output rows of one weight, for some tokens: out[t * out_stride + r] for r and t in the given ranges.
struct LinearTask {
  const WeightView* weight;
  const uint8_t* bytes;  // plane 0 of the weight
  int64_t row_bytes;     // of plane 0
  int64_t columns;
  int64_t row_begin, row_end;
  int64_t token_begin, token_end;  // at most kTaskTokens; token_begin is a multiple of 8
  const float* input;              // [tokens, columns]: float formats
  const ActivationGroup* groups;   // quantised formats
  int64_t padded_tokens;
  const float* bias;  // [rows] or null
  float* out;
  int64_t out_stride;
};

using LinearKernel = void (*)(const LinearTask& task);

struct FormatKernel {
  Format format;
  LinearKernel run;
};

/// Quantises consecutive groups of one row into groups[0], groups[stride], ... Returns false if a value is not finite.
using QuantiseKernel = bool (*)(const float* row, int64_t n_groups, ActivationGroup* groups, int64_t stride);

/// Runs `iterations` rounds of the multiply instructions that a kind of weight needs, on registers only; returns the
/// number of multiply-adds. `sink` keeps the result alive.
using PeakKernel = double (*)(int64_t iterations, int32_t* sink);

struct PeakProbe {
  const char* name;  // "4-bit codes", ..., "float"
  PeakKernel run;
};

/// A format without a kernel here is served by the scalar codec.
struct LinearKernels {
  const FormatKernel* formats;
  int n_formats;
  QuantiseKernel quantise;
  int64_t row_granule;    // a task's rows are best a multiple of this
  int64_t direct_tokens;  // up to so many tokens the kernels stream weights from memory: rows far apart
  const PeakProbe* peaks;
  int n_peaks;
};

/// Every format of the table, by its scalar codec: the contract in plain loops, and the fallback on every set.
void linear_by_codec(const LinearTask& task);
bool quantise_plain(const float* row, int64_t n_groups, ActivationGroup* groups, int64_t stride);
extern const PeakProbe kScalarPeaks[1];

inline constexpr LinearKernels kScalarLinearKernels = {
    .formats = nullptr,
    .n_formats = 0,
    .quantise = quantise_plain,
    .row_granule = 1,
    .direct_tokens = 0,
    .peaks = kScalarPeaks,
    .n_peaks = 1,
};

}  // namespace megalith::cpu
