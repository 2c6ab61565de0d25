#pragma once
// How a folder's weights are quantised, as its config.json says it.
#include <cstdint>
#include <string>
#include <string_view>

#include "files/checkpoint.h"

namespace megalith {

enum class QuantisationMethod { kNone, kMlx, kGptq, kAwq, kFp8, kMxfp4 };

struct QuantisationConfig {
  QuantisationMethod method = QuantisationMethod::kNone;
  std::string prefix;            // of its keys: "config.quantization"
  uint8_t zero_point_shift = 0;  // GPTQ (WeightView)
};

/// Reads the keys that mlx-lm (config.quantization), AutoGPTQ, GPTQModel, AutoAWQ and transformers
/// (config.quantization_config, perhaps within text_config) write. Throws kInvalidModel for a method, or a variant of
/// one, that megalith does not know, naming those that it does.
QuantisationConfig read_quantisation_config(const Metadata& metadata);

/// The format of one module's weight.
struct ModuleFormat {
  Format format = Format::kF32;
  int64_t group = 1;  // columns that share scales; -1: all of them
};

/// What the config says of this module: MLX gives some layers their own bits and groups. Throws as above.
ModuleFormat format_of_module(const QuantisationConfig& config, const Metadata& metadata, std::string_view module);

}  // namespace megalith
