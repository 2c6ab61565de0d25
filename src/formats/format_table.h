#pragma once
// The one place that knows a weight format: its names, ids, planes and layout, and its scalar codec.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
  kNVFP4,
  kMlx2,
  kMlx3,
  kMlx4,
  kMlx5,
  kMlx6,
  kMlx8,
  kAwq4,
  kGptq4,
  kGptq8,
  kFp8Block,
  kMxfp4Planes
};

inline constexpr int kMaxPlanes = 4;

/// A weight [rows (out, N), columns (in, K)] where it lies: views on the mapping, one for each plane of its format.
/// A vector is a weight of one row. The members after `planes` are what a file decides for formats that leave it open.
struct WeightView {
  Format format = Format::kF32;
  int64_t rows = 0;
  int64_t columns = 0;
  std::array<std::span<const std::byte>, kMaxPlanes> planes{};  // GGUF has one, MLX three, GPTQ four

  /// MLX, AWQ, GPTQ: columns that share a scale, a multiple of 32 ("group_size"; `columns` where a GPTQ file says -1).
  int64_t group = 0;
  /// MLX, AWQ, GPTQ, FP8: the type of the planes of float scales (and of MLX biases): kF16, kBF16 or kF32.
  Format scale_format = Format::kF16;
  /// GPTQ: what is added to stored zero points, modulo 2^bits: 1 in checkpoint_format "gptq", 0 in "gptq_v2".
  uint8_t zero_point_shift = 0;
  /// GPTQ with act-order: [columns], the K order of matmuls (column_order_of). Empty: the natural one. Groups of 32 are
  /// groups of the ordered columns, and activations are put into this order before they are quantised.
  std::span<const int32_t> column_order{};

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

/// One plane of a weight in safetensors files: the tensor "<weight name without .weight>.<name>" of that dtype.
struct PlaneInfo {
  std::string_view name;
  std::string_view dtype;  // "U32", "I32", ...; empty: WeightView::scale_format
};

/// The bytes of each plane while a weight is encoded.
using PlaneBuffers = std::array<std::span<std::byte>, kMaxPlanes>;

struct FormatInfo {
  Format format;
  std::string_view name;              // "Q4_K", as the field writes it
  std::optional<uint32_t> gguf_type;  // ggml type id
  std::string_view safetensors_type;  // dtype string, empty if it has none of its own
  int planes;
  ContiguousAxis axis;
  int block_weights;    // columns must be a multiple; the weights of one block where the format is contiguous along K
  int block_bytes;      // of block_weights weights in plane 0
  bool has_offset;      // whether the offset term of the matmul contract exists at all (docs/numerics.md)
  bool has_two_scales;  // whether a group's two scales are two terms there (float scales per 16: NVFP4)
  /// Quantised formats: the terms of group `group` (columns [32 group, 32 group + 32) of the view's column order) of a
  /// row. Null for float formats.
  GroupTerms (*terms)(const WeightView& weight, int64_t row, int64_t group);
  /// out[i] = weight(row, begin + i) for i < count, in the natural order of columns whatever the view's column order.
  /// Quantised formats: begin and count are multiples of 32.
  void (*decode)(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out);
  /// Encodes consecutive weights (a multiple of block_weights) into plane-0 bytes; plain and deterministic, for tests
  /// and synthetic checkpoints. Weights are finite and within half's range. Null if the format has several planes.
  void (*encode)(std::span<const float> weights, std::span<std::byte> out);
  /// Several planes: what they are, in the order of WeightView::planes.
  std::array<PlaneInfo, kMaxPlanes> plane_info{};
  /// Several planes: the bytes that `plane` has for the view's rows, columns, group and scale format.
  uint64_t (*plane_bytes)(const WeightView& weight, int plane) = nullptr;
  /// Several planes: `encode` for [rows, columns] weights, into zeroed planes of plane_bytes each. Of `shape` all but
  /// the planes count, and GPTQ's plane 3, which is the caller's. See encode_weight (formats/encode.h).
  void (*encode_planes)(std::span<const float> weights, const WeightView& shape, const PlaneBuffers& out) = nullptr;
  int row_multiple = 1;  // rows must be a multiple: N-contiguous formats pack rows into words

  bool quantised() const { return terms != nullptr; }
};

/// All formats, indexed by the value of Format.
std::span<const FormatInfo> format_table();
const FormatInfo& format_info(Format format);
/// The bytes that a plane of the view must have; UINT64_MAX if that is too large to count.
uint64_t plane_bytes(const WeightView& weight, int plane);
/// What keeps the view from being decoded: a shape, group, plane size or index that its format does not allow, as the
/// rest of a sentence ("has 40 columns, which is no multiple of 32"). Empty if it is sound. File readers must ask
/// before anyone uses the view; after that no read leaves the planes.
std::string fault_of(const WeightView& weight);
/// The K order of a GPTQ weight: the stable sort of its columns by plane 3 (g_idx). Empty if that is the natural order
/// or there is no g_idx. The view must be sound; its owner keeps the result as long as the view's column_order points
/// to it.
std::vector<int32_t> column_order_of(const WeightView& weight);
/// Rows [begin, begin + count) as a weight of their own: one expert of a stack. Throws kInvalidModel where the format
/// cannot be cut there: between the rows of an FP8 block, and anywhere in AWQ and GPTQ, whose rows are interleaved.
WeightView slice_rows(const WeightView& weight, int64_t begin, int64_t count);
/// Null if megalith does not know this ggml type.
const FormatInfo* format_by_gguf_type(uint32_t type);
/// The field's name of any ggml type id, for error messages: "IQ2_XXS", or "type 77" where the field has none.
std::string gguf_type_name(uint32_t type);

}  // namespace megalith
