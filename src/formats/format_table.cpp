#include "formats/format_table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "formats/awq.h"
#include "formats/bf16.h"
#include "formats/block_codec.h"
#include "formats/f16.h"
#include "formats/f32.h"
#include "formats/fp8_block.h"
#include "formats/gptq.h"
#include "formats/iq4_nl.h"
#include "formats/iq4_xs.h"
#include "formats/mlx.h"
#include "formats/mxfp4.h"
#include "formats/mxfp4_planes.h"
#include "formats/nvfp4.h"
#include "formats/q2_k.h"
#include "formats/q3_k.h"
#include "formats/q4_0.h"
#include "formats/q4_1.h"
#include "formats/q4_k.h"
#include "formats/q5_0.h"
#include "formats/q5_1.h"
#include "formats/q5_k.h"
#include "formats/q6_k.h"
#include "formats/q8_0.h"

namespace megalith {

namespace {

constexpr std::array kTable = {f32::kInfo,
                               f16::kInfo,
                               bf16::kInfo,
                               q4_0::kInfo,
                               q4_1::kInfo,
                               q5_0::kInfo,
                               q5_1::kInfo,
                               q8_0::kInfo,
                               q4_k::kInfo,
                               q5_k::kInfo,
                               q6_k::kInfo,
                               q2_k::kInfo,
                               q3_k::kInfo,
                               iq4_nl::kInfo,
                               iq4_xs::kInfo,
                               mxfp4::kInfo,
                               nvfp4::kInfo,
                               mlx::info<2>(Format::kMlx2, "MLX_2BIT"),
                               mlx::info<3>(Format::kMlx3, "MLX_3BIT"),
                               mlx::info<4>(Format::kMlx4, "MLX_4BIT"),
                               mlx::info<5>(Format::kMlx5, "MLX_5BIT"),
                               mlx::info<6>(Format::kMlx6, "MLX_6BIT"),
                               mlx::info<8>(Format::kMlx8, "MLX_8BIT"),
                               awq::kInfo,
                               gptq::info<4>(Format::kGptq4, "GPTQ_4BIT"),
                               gptq::info<8>(Format::kGptq8, "GPTQ_8BIT"),
                               fp8_block::kInfo,
                               mxfp4_planes::kInfo};

constexpr bool is_indexed_by_format() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].format) != i) return false;
  }
  return true;
}
static_assert(is_indexed_by_format());

// ggml.h, enum ggml_type, with the types it has since removed.
constexpr std::array<std::string_view, 42> kGgufTypeNames = {
    "F32",        "F16",        "Q4_0",       "Q4_1",  "Q4_2",     "Q4_3",     "Q5_0",     "Q5_1",    "Q8_0",
    "Q8_1",       "Q2_K",       "Q3_K",       "Q4_K",  "Q5_K",     "Q6_K",     "Q8_K",     "IQ2_XXS", "IQ2_XS",
    "IQ3_XXS",    "IQ1_S",      "IQ4_NL",     "IQ3_S", "IQ2_S",    "IQ4_XS",   "I8",       "I16",     "I32",
    "I64",        "F64",        "IQ1_M",      "BF16",  "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",   "TQ2_0",
    "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4",    "Q1_0"};

}  // namespace

uint64_t WeightView::bytes() const {
  uint64_t total = 0;
  for (const auto& plane : planes) total += plane.size();
  return total;
}

void block_codec::decode_quantised(const WeightView& weight, int64_t row, int64_t begin, std::span<float> out) {
  const auto terms_of = format_info(weight.format).terms;
  for (size_t i = 0; i < out.size(); i += GroupTerms::kSize) {
    const int64_t group = (begin + static_cast<int64_t>(i)) / GroupTerms::kSize;
    const GroupTerms terms = terms_of(weight, row, group);
    for (size_t j = 0; j < GroupTerms::kSize; ++j) {
      const float product = terms.scales[j / 16] * static_cast<float>(terms.codes[j]);
      out[i + j] = product - terms.offset * static_cast<float>(terms.offset_codes[j / 16]);
    }
  }
}

namespace {

std::string count_fault(std::string_view what, int64_t count, int64_t multiple) {
  return "has " + std::to_string(count) + " " + std::string(what) + ", which is no multiple of " +
         std::to_string(multiple);
}

/// Plane 3 of GPTQ: groups that exist, each of a multiple of 32 columns, so that 32 ordered columns share a scale.
std::string group_index_fault(const WeightView& weight) {
  const int64_t n_groups = planes::divide_up(weight.columns, weight.group);
  std::vector<int64_t> counts(static_cast<size_t>(n_groups));
  for (int64_t column = 0; column < weight.columns; ++column) {
    const uint32_t group = planes::load_word(weight.planes[3], column);
    if (group >= counts.size()) {
      return "gives column " + std::to_string(column) + " the group " + std::to_string(static_cast<int32_t>(group)) +
             " of " + std::to_string(n_groups);
    }
    ++counts[group];
  }
  for (const int64_t count : counts) {
    if (count % GroupTerms::kSize != 0) return count_fault("columns in one group", count, GroupTerms::kSize);
  }
  return {};
}

bool is_scale_format(Format format) {
  return format == Format::kF16 || format == Format::kBF16 || format == Format::kF32;
}

}  // namespace

uint64_t plane_bytes(const WeightView& weight, int plane) {
  const FormatInfo& info = format_info(weight.format);
  if (info.plane_bytes != nullptr) return info.plane_bytes(weight, plane);
  return planes::product({static_cast<uint64_t>(weight.rows),
                          static_cast<uint64_t>(weight.columns / info.block_weights),
                          static_cast<uint64_t>(info.block_bytes)});
}

std::string fault_of(const WeightView& weight) {
  const FormatInfo& info = format_info(weight.format);
  if (weight.rows < 1 || weight.columns < 1) return "is empty";
  if (weight.columns % info.block_weights != 0) return count_fault("columns", weight.columns, info.block_weights);
  if (weight.rows % info.row_multiple != 0) return count_fault("rows", weight.rows, info.row_multiple);
  if (info.planes > 1) {
    if (!is_scale_format(weight.scale_format)) return "has scales that are not F16, BF16 or F32";
    const bool has_group = info.quantised() && weight.format != Format::kMxfp4Planes;
    if (has_group && (weight.group < GroupTerms::kSize || weight.group % GroupTerms::kSize != 0)) {
      return count_fault("columns in one group", weight.group, GroupTerms::kSize);
    }
  }
  const bool has_group_index = info.planes == kMaxPlanes && !weight.planes[kMaxPlanes - 1].empty();
  const int n_planes = info.planes == kMaxPlanes && !has_group_index ? kMaxPlanes - 1 : info.planes;
  for (int plane = 0; plane < n_planes; ++plane) {
    const uint64_t has = weight.planes[static_cast<size_t>(plane)].size();
    const uint64_t needed = plane_bytes(weight, plane);
    if (has == needed) continue;
    const std::string_view name = info.plane_info[static_cast<size_t>(plane)].name;
    return "has " + std::to_string(has) + " bytes of " + (name.empty() ? "data" : "'" + std::string(name) + "'") +
           " where " + std::to_string(needed) + " are needed";
  }
  return has_group_index ? group_index_fault(weight) : std::string{};
}

std::vector<int32_t> column_order_of(const WeightView& weight) {
  const bool has_group_index = format_info(weight.format).planes == kMaxPlanes && !weight.planes[3].empty();
  if (!has_group_index) return {};
  std::vector<int32_t> order(static_cast<size_t>(weight.columns));
  std::iota(order.begin(), order.end(), 0);
  const auto group_of = [&weight](int32_t column) { return gptq::group_of_column(weight, column); };
  if (std::ranges::is_sorted(order, {}, group_of)) return {};
  // By column within a group: the stable sort.
  std::ranges::sort(order, {}, [&](int32_t column) { return std::pair(group_of(column), column); });
  return order;
}

WeightView slice_rows(const WeightView& weight, int64_t begin, int64_t count) {
  const FormatInfo& info = format_info(weight.format);
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kInvalidModel, std::to_string(count) + " rows from " + std::to_string(begin) +
                                              " on, of a weight of " + std::to_string(weight.rows) + " rows in " +
                                              std::string(info.name) + " cannot be used alone: " + why);
  };
  if (begin < 0 || count < 1 || count > weight.rows - begin) refuse("they are not all there");
  if (info.axis == ContiguousAxis::kN) refuse("the format interleaves rows; use a checkpoint that stores them apart");
  const bool ends_in_block = begin + count != weight.rows && (begin + count) % fp8_block::kBlock != 0;
  if (weight.format == Format::kFp8Block && (begin % fp8_block::kBlock != 0 || ends_in_block)) {
    refuse("a scale is shared by 128 rows; use a checkpoint whose parts are multiples of that");
  }
  WeightView slice = weight;
  WeightView before = weight;
  slice.rows = count;
  before.rows = begin;
  for (int plane = 0; plane < info.planes; ++plane) {
    auto& bytes = slice.planes[static_cast<size_t>(plane)];
    bytes = bytes.subspan(plane_bytes(before, plane), plane_bytes(slice, plane));
  }
  return slice;
}

std::span<const FormatInfo> format_table() { return kTable; }

const FormatInfo& format_info(Format format) { return kTable[static_cast<size_t>(format)]; }

const FormatInfo* format_by_gguf_type(uint32_t type) {
  for (const FormatInfo& info : kTable) {
    if (info.gguf_type == type) return &info;
  }
  return nullptr;
}

std::string gguf_type_name(uint32_t type) {
  return type < kGgufTypeNames.size() ? std::string(kGgufTypeNames[type]) : "type " + std::to_string(type);
}

}  // namespace megalith
