#include "formats/format_table.h"

#include "formats/bf16.h"
#include "formats/block_codec.h"
#include "formats/f16.h"
#include "formats/f32.h"
#include "formats/iq4_nl.h"
#include "formats/iq4_xs.h"
#include "formats/mxfp4.h"
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

constexpr std::array kTable = {f32::kInfo,  f16::kInfo,    bf16::kInfo,   q4_0::kInfo,  q4_1::kInfo, q5_0::kInfo,
                               q5_1::kInfo, q8_0::kInfo,   q4_k::kInfo,   q5_k::kInfo,  q6_k::kInfo, q2_k::kInfo,
                               q3_k::kInfo, iq4_nl::kInfo, iq4_xs::kInfo, mxfp4::kInfo, nvfp4::kInfo};

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
