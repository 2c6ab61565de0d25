#pragma once
// Rotary position embedding (Su et al., RoFormer) and its context extensions: each is a choice of frequencies and of a
// magnitude for sin and cos. float32 is rounded where transformers' modeling_rope_utils rounds it.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "files/checkpoint.h"
#include "models/hyperparameters.h"
#include "ops/ops.h"

namespace megalith {

enum class RopeScaling {
  kNone,
  kLinear,  // all frequencies divided by a factor (position interpolation, Chen et al.)
  kLlama3,  // only long wavelengths divided, with a smooth passage (Llama 3.1)
  kYarn,    // a ramp between interpolation and extrapolation, and a magnitude (Peng et al., YaRN)
};

enum class RampEnds { kWholePairs, kExact };

/// Everything a rope is made from.
struct RopeParameters {
  RopeStyle style = RopeStyle::kHalves;
  int32_t head_width = 0;
  int32_t rotary_width = 0;  // even, at most head_width
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;                         // how much longer the context is made
  int32_t original_context_tokens = 0;         // that the model was trained with before (Llama 3, YaRN)
  double low_frequency_factor = 1.0;           // Llama 3
  double high_frequency_factor = 4.0;          // Llama 3
  double beta_fast = 32.0;                     // YaRN: turns within the original context above which nothing is scaled
  double beta_slow = 1.0;                      // YaRN: turns below which all is scaled
  double extrapolation = 1.0;                  // YaRN: share of the ramp, 0 leaves only interpolation
  RampEnds ramp_ends = RampEnds::kWholePairs;  // YaRN: between whole pairs, or where the turns say exactly
  double magnitude = 1.0;                      // multiplies sin and cos
  /// [rotary_width / 2] or empty: each frequency is divided by its own (GGUF's form of Llama 3 and of longrope).
  std::vector<float> frequency_factors;
};

/// YaRN's magnitude for a factor: 0.1 multiplier ln(factor) + 1.
double yarn_magnitude(double factor, double multiplier);
/// Longrope's (Ding et al.): sqrt(1 + ln(context / original) / ln(original)); 1 where nothing is extended.
double longrope_magnitude(int32_t context_tokens, int32_t original_context_tokens);

Rope make_rope(const RopeParameters& parameters);

/// Tensors of a file that only the rope reads, where it has them.
inline constexpr std::array<std::string_view, 3> kRopeTensors{"rope_freqs.weight", "rope_factors_long.weight",
                                                              "rope_factors_short.weight"};

/// What a family knows of its rope before the file is read.
struct RopeOfModel {
  RopeStyle style = RopeStyle::kHalves;  // of GGUF files; folders say so themselves (rope.pairs)
  int32_t head_width = 0;
  int32_t context_tokens = 0;  // above the original one, longrope uses its long factors
};

/// Reads `ARCH.rope.*` and kRopeTensors.
RopeParameters read_rope(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters,
                         const RopeOfModel& model);

/// The rope of layers that see a window only, where it is another one: of a base of its own, `rope.freq_base_swa` or
/// else `base`, and never scaled.
RopeParameters read_window_rope(const Hyperparameters& hyperparameters, const RopeParameters& global, double base);

}  // namespace megalith
