#include "files/quantisation_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace megalith {

namespace {

constexpr int64_t kMxfp4Group = 32;
constexpr std::string_view kSupported =
    "megalith reads GGUF, and safetensors quantised by MLX, GPTQ, AWQ, FP8 in blocks and MXFP4: get one of these";

[[noreturn]] void refuse(const Metadata& metadata, const std::string& what) {
  throw Error(ErrorKind::kInvalidModel, fmt::format("{}: {}; {}", metadata.source(), what, kSupported));
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return result;
}

/// The text of a key in lower case, or `otherwise`.
std::string text_of(const Metadata& metadata, const std::string& key, std::string_view otherwise) {
  return lower(metadata.find_string(key).value_or(otherwise));
}

/// The integer under the first of these names that is there.
int64_t integer_of(const Metadata& metadata, const std::string& prefix, const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) {
    if (const auto value = metadata.find_integer(prefix + "." + std::string(name))) return *value;
  }
  return metadata.integer(prefix + "." + std::string(names.front()));  // says that it is missing
}

void require_value(const Metadata& metadata, const std::string& key, std::string_view wanted) {
  const std::string value = text_of(metadata, key, wanted);
  if (value != wanted) {
    refuse(metadata, fmt::format("key '{}' is {}, and only '{}' is supported", key, in_quotes(value), wanted));
  }
}

void check_gptq(const Metadata& metadata, QuantisationConfig& config) {
  std::string key = config.prefix + ".checkpoint_format";
  if (!metadata.has(key) && metadata.has(config.prefix + ".format")) key = config.prefix + ".format";
  const std::string format = text_of(metadata, key, "gptq");
  if (format != "gptq" && format != "gptq_v2") {
    refuse(metadata,
           fmt::format("key '{}' is {}, and only 'gptq' and 'gptq_v2' are supported", key, in_quotes(format)));
  }
  if (metadata.find_boolean(config.prefix + ".is_marlin_format").value_or(false)) {
    refuse(metadata, "its GPTQ weights are repacked for Marlin");
  }
  config.zero_point_shift = format == "gptq" ? 1 : 0;
}

void check_fp8(const Metadata& metadata, const QuantisationConfig& config) {
  const std::string key = config.prefix + ".weight_block_size";
  if (metadata.integers(key) != std::vector<int64_t>{128, 128}) {
    refuse(metadata, fmt::format("key '{}' is not [128, 128]", key));
  }
  require_value(metadata, config.prefix + ".fmt", "e4m3");
}

bool has_any(const Metadata& metadata, std::string_view prefix) {
  return std::any_of(metadata.entries().begin(), metadata.entries().end(),
                     [&](const Metadata::Entry& entry) { return entry.key.starts_with(prefix); });
}

struct BitsFormat {
  int64_t bits;
  Format format;
};
constexpr std::array kMlxFormats = {BitsFormat{2, Format::kMlx2}, BitsFormat{3, Format::kMlx3},
                                    BitsFormat{4, Format::kMlx4}, BitsFormat{5, Format::kMlx5},
                                    BitsFormat{6, Format::kMlx6}, BitsFormat{8, Format::kMlx8}};
constexpr std::array kGptqFormats = {BitsFormat{4, Format::kGptq4}, BitsFormat{8, Format::kGptq8}};
constexpr std::array kAwqFormats = {BitsFormat{4, Format::kAwq4}};

ModuleFormat of_bits(const Metadata& metadata, std::span<const BitsFormat> formats, int64_t bits, int64_t group) {
  for (const BitsFormat& row : formats) {
    if (row.bits == bits) return {row.format, group};
  }
  refuse(metadata, fmt::format("weights of {} bits in its way of quantising", bits));
}

ModuleFormat mlx_format(const QuantisationConfig& config, const Metadata& metadata, std::string_view module) {
  const std::string own = config.prefix + "." + std::string(module);
  const auto integer = [&](std::string_view name) {
    const auto value = metadata.find_integer(fmt::format("{}.{}", own, name));
    return value ? *value : integer_of(metadata, config.prefix, {name});
  };
  const std::string shared_mode = text_of(metadata, config.prefix + ".mode", "affine");
  // A module with settings of its own, but no mode, is affine: mlx-lm hands its settings on as they are.
  const bool has_own = metadata.has(own + ".bits") || metadata.has(own + ".group_size");
  const std::string mode = text_of(metadata, own + ".mode", has_own ? "affine" : std::string_view(shared_mode));
  if (mode == "mxfp4") return {Format::kMxfp4Planes, kMxfp4Group};
  if (mode != "affine") {
    refuse(metadata, fmt::format("module {} is quantised in MLX's mode {}, which is not supported", in_quotes(module),
                                 in_quotes(mode)));
  }
  return of_bits(metadata, kMlxFormats, integer("bits"), integer("group_size"));
}

}  // namespace

QuantisationConfig read_quantisation_config(const Metadata& metadata) {
  QuantisationConfig config;
  for (const char* prefix :
       {"config.quantization", "config.quantization_config", "config.text_config.quantization_config"}) {
    if (!has_any(metadata, std::string(prefix) + ".")) continue;
    config.prefix = prefix;
    break;
  }
  if (config.prefix.empty()) return config;
  const std::string key = config.prefix + ".quant_method";
  const std::string method = text_of(metadata, key, "mlx");
  if (method == "mlx") {
    config.method = QuantisationMethod::kMlx;
    integer_of(metadata, config.prefix, {"bits"});
    integer_of(metadata, config.prefix, {"group_size"});
  } else if (method == "gptq") {
    config.method = QuantisationMethod::kGptq;
    check_gptq(metadata, config);
  } else if (method == "awq") {
    config.method = QuantisationMethod::kAwq;
    require_value(metadata, config.prefix + ".version", "gemm");
  } else if (method == "fp8") {
    config.method = QuantisationMethod::kFp8;
    check_fp8(metadata, config);
  } else if (method == "mxfp4") {
    config.method = QuantisationMethod::kMxfp4;
  } else {
    refuse(metadata, fmt::format("key '{}' is {}, a way of quantising that is not supported", key, in_quotes(method)));
  }
  return config;
}

ModuleFormat format_of_module(const QuantisationConfig& config, const Metadata& metadata, std::string_view module) {
  switch (config.method) {
    case QuantisationMethod::kMlx:
      return mlx_format(config, metadata, module);
    case QuantisationMethod::kGptq:
      return of_bits(metadata, kGptqFormats, integer_of(metadata, config.prefix, {"bits"}),
                     integer_of(metadata, config.prefix, {"group_size"}));
    case QuantisationMethod::kAwq:
      return of_bits(metadata, kAwqFormats, integer_of(metadata, config.prefix, {"bits", "w_bit"}),
                     integer_of(metadata, config.prefix, {"group_size", "q_group_size"}));
    case QuantisationMethod::kFp8:
      return {Format::kFp8Block, 128};
    case QuantisationMethod::kMxfp4:
      return {Format::kMxfp4Planes, kMxfp4Group};
    case QuantisationMethod::kNone:
      break;
  }
  return {};
}

}  // namespace megalith
