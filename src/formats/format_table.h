#pragma once
// The one place that knows a weight format: its names, ids, planes and layout, and its scalar codec.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace megalith {

enum class Format : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kQ2_K,
  kQ3_K,
  kIQ4_NL,
  kIQ4_XS,
  kMXFP4,
  kNVFP4
};

/// A weight [rows (out, N), columns (in, K)] where it lies: views on the mapping, one for each plane of its format.
/// A vector is a weight of one row.
struct WeightView {
  Format format = Format::kF32;
  int64_t rows = 0;
  int64_t columns = 0;
  std::array<std::span<const std::byte>, 4> planes{};  // GGUF has one, MLX three, GPTQ four

  /// Bytes of all planes.
  uint64_t bytes() const;
};

/// Matmuls of quantised formats see a weight as groups of 32 along K (DESIGN.md section 5):
///   weight[i] = scale[i / 16] * code[i] - offset * offset_code[i / 16]
/// Integer sub-scales of 16 are folded into the codes, so both scales are equal except where a format has float scales
/// per 16 (has_two_scales). Integer sub-offsets of 16 (Q2_K) are the offset codes, 1 elsewhere: the offset of a group
/// is one term too, offset * (offset_code[0] * sum of the first 16 activations + offset_code[1] * sum of the last 16).
struct GroupTerms {
  static constexpr int kSize = 32;
  std::array<int16_t, kSize>
      codes;  // |sum of code * activation| < 2^24 for |activation| <= 127, so float(sum) is exact
  std::array<float, 2> scales;
  float offset;
  std::array<int16_t, 2> offset_codes = {1, 1};
};

enum class ContiguousAxis { kK, kN };

struct FormatInfo {
  Format format;
  std::string_view name;              // "Q4_K", as the field writes it
  std::optional<uint32_t> gguf_type;  // ggml type id
  std::string_view safetensors_type;  // dtype string, empty if it has none of its own
  int planes;
  ContiguousAxis axis;
  int block_weights;    // weights of one block along the contiguous axis; columns must be a multiple
  int block_bytes;      // of plane 0
  bool has_offset;      // whether the offset term of the matmul contract exists at all (docs/numerics.md)
  bool has_two_scales;  // whether a group's two scales are two terms there (float scales per 16: NVFP4)
  /// Quantised formats: the terms of group `group` (columns [32 group, 32 group + 32)) of a row. Null for float
  /// formats.
  GroupTerms (*terms)(const WeightView& weight, int64_t row, int64_t group);
  /// out[i] = weight(row, begin + i) for i < count. Quantised formats: begin and count are multiples of 32.
  void (*decode)(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out);
  /// Encodes consecutive weights (a multiple of block_weights) into plane-0 bytes; plain and deterministic, for tests
  /// and synthetic checkpoints. Weights are finite and within half's range. Null if the format has several planes.
  void (*encode)(std::span<const float> weights, std::span<std::byte> out);

  bool quantised() const { return terms != nullptr; }
};

/// All formats, indexed by the value of Format.
std::span<const FormatInfo> format_table();
const FormatInfo& format_info(Format format);
/// Null if megalith does not know this ggml type.
const FormatInfo* format_by_gguf_type(uint32_t type);
/// The field's name of any ggml type id, for error messages: "IQ2_XXS", or "type 77" where the field has none.
std::string gguf_type_name(uint32_t type);

}  // namespace megalith
