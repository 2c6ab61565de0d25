#include "models/rope.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"

namespace megalith {

namespace {

constexpr NumberRange kFactorRange{1e-6, 1e6};
constexpr NumberRange kBaseRange{1.001, 1e12};

float rounded(double value) { return static_cast<float>(value); }

/// base^(2i / width) as float32 arithmetic gives it.
float wavelength_in_radians(const RopeParameters& parameters, int32_t pair) {
  const float exponent = static_cast<float>(2 * pair) / static_cast<float>(parameters.rotary_width);
  return rounded(std::pow(static_cast<double>(rounded(parameters.base)), static_cast<double>(exponent)));
}

float llama3_frequency(const RopeParameters& parameters, float frequency) {
  const double original = parameters.original_context_tokens;
  const float factor = rounded(parameters.factor);
  const float low = rounded(parameters.low_frequency_factor);
  const float wavelength = rounded(2.0 * std::numbers::pi) / frequency;
  if (wavelength > rounded(original / parameters.low_frequency_factor)) return frequency / factor;
  if (wavelength < rounded(original / parameters.high_frequency_factor)) return frequency;
  const float smooth = (rounded(original) / wavelength - low) /
                       rounded(parameters.high_frequency_factor - parameters.low_frequency_factor);
  return (1.0F - smooth) * frequency / factor + smooth * frequency;
}

/// The pairs between which YaRN's ramp rises from all extrapolated to all interpolated.
struct Ramp {
  double begin;
  double end;
};

Ramp yarn_ramp(const RopeParameters& parameters) {
  const auto pair_of_turns = [&](double turns) {
    return parameters.rotary_width * std::log(parameters.original_context_tokens / (turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(parameters.base));
  };
  double begin = pair_of_turns(parameters.beta_fast);
  double end = pair_of_turns(parameters.beta_slow);
  if (parameters.ramp_ends == RampEnds::kWholePairs) {
    begin = std::floor(begin);
    end = std::ceil(end);
  }
  begin = std::max(begin, 0.0);
  end = std::min(end, parameters.rotary_width - 1.0);
  if (begin == end) end += 0.001;
  return {begin, end};
}

float yarn_frequency(const RopeParameters& parameters, const Ramp& ramp, int32_t pair, float wavelength) {
  const float extrapolated = 1.0F / wavelength;
  const float interpolated = 1.0F / (rounded(parameters.factor) * wavelength);
  const float ascent = (static_cast<float>(pair) - rounded(ramp.begin)) / rounded(ramp.end - ramp.begin);
  const float kept = (1.0F - std::clamp(ascent, 0.0F, 1.0F)) * rounded(parameters.extrapolation);
  return interpolated * (1.0F - kept) + extrapolated * kept;
}

float frequency_of_pair(const RopeParameters& parameters, const Ramp& ramp, int32_t pair) {
  float wavelength = wavelength_in_radians(parameters, pair);
  if (!parameters.frequency_factors.empty()) wavelength *= parameters.frequency_factors[static_cast<size_t>(pair)];
  switch (parameters.scaling) {
    case RopeScaling::kNone:
      break;
    case RopeScaling::kLinear:
      return (1.0F / wavelength) / rounded(parameters.factor);
    case RopeScaling::kLlama3:
      return llama3_frequency(parameters, 1.0F / wavelength);
    case RopeScaling::kYarn:
      return yarn_frequency(parameters, ramp, pair, wavelength);
  }
  return 1.0F / wavelength;
}

std::vector<float> read_factors(const Checkpoint& checkpoint, std::string_view name, int32_t rotary_width) {
  const std::array<int64_t, 1> shape{rotary_width / 2};
  const NamedWeight& weight = checkpoint.require(name, shape);
  std::vector<float> factors(static_cast<size_t>(shape[0]));
  const FormatInfo& format = format_info(weight.view.format);
  if (format.quantised()) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{}: tensor {} is {}, expected F32, F16 or BF16",
                                                      checkpoint.path(), in_quotes(name), format.name));
  }
  format.decode(weight.view, 0, 0, factors);
  for (const float factor : factors) {
    if (!(factor > 0.0F) || !std::isfinite(factor)) {
      throw Error(ErrorKind::kInvalidModel, fmt::format("{}: tensor {} holds {:g}, expected positive factors",
                                                        checkpoint.path(), in_quotes(name), factor));
    }
  }
  return factors;
}

/// The list of a key, as folders have it.
std::vector<float> read_factor_list(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters,
                                    std::string_view name, int32_t rotary_width) {
  std::vector<float> factors;
  const std::string key = hyperparameters.key(name);
  for (const double factor : checkpoint.metadata().numbers(key)) {
    if (!(factor >= kFactorRange.least && factor <= kFactorRange.most)) {
      throw Error(ErrorKind::kInvalidModel,
                  fmt::format("{}: key '{}' holds {:g}, expected positive factors", checkpoint.path(), key, factor));
    }
    factors.push_back(static_cast<float>(factor));
  }
  if (static_cast<int32_t>(factors.size()) != rotary_width / 2) {
    hyperparameters.refuse(name, fmt::format("of {} factors, expected {}", factors.size(), rotary_width / 2));
  }
  return factors;
}

void read_longrope(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters, const RopeOfModel& model,
                   RopeParameters& parameters) {
  parameters.original_context_tokens =
      hyperparameters.integer("rope.scaling.original_context_length", IntegerRange{2, 1 << 30});
  const bool extended = model.context_tokens > parameters.original_context_tokens;
  const auto factors = [&](std::string_view key, std::string_view tensor) {
    return hyperparameters.find(key) != nullptr
               ? read_factor_list(checkpoint, hyperparameters, key, parameters.rotary_width)
               : read_factors(checkpoint, tensor, parameters.rotary_width);
  };
  const std::vector<float> long_factors = factors("rope.scaling.long_factors", "rope_factors_long.weight");
  const std::vector<float> short_factors = factors("rope.scaling.short_factors", "rope_factors_short.weight");
  parameters.frequency_factors = extended ? long_factors : short_factors;
  parameters.magnitude = hyperparameters.find_number("rope.scaling.attn_factor", kFactorRange)
                             .value_or(longrope_magnitude(model.context_tokens, parameters.original_context_tokens));
}

void read_llama3(const Hyperparameters& hyperparameters, RopeParameters& parameters) {
  constexpr std::string_view kHigh = "rope.scaling.high_freq_factor";
  parameters.scaling = RopeScaling::kLlama3;
  parameters.original_context_tokens =
      hyperparameters.integer("rope.scaling.original_context_length", IntegerRange{2, 1 << 30});
  parameters.low_frequency_factor = hyperparameters.number("rope.scaling.low_freq_factor", kFactorRange);
  parameters.high_frequency_factor = hyperparameters.number(kHigh, kFactorRange);
  if (parameters.high_frequency_factor <= parameters.low_frequency_factor) {
    hyperparameters.refuse(kHigh, "expected more than 'rope.scaling.low_freq_factor'");
  }
}

void read_yarn(const Hyperparameters& hyperparameters, const RopeOfModel& model, RopeParameters& parameters) {
  parameters.scaling = RopeScaling::kYarn;
  parameters.original_context_tokens =
      hyperparameters.find_integer("rope.scaling.original_context_length", IntegerRange{2, 1 << 30})
          .value_or(model.context_tokens);
  constexpr NumberRange kTurnsRange{1e-3, 1e6};
  parameters.beta_fast = hyperparameters.find_number("rope.scaling.yarn_beta_fast", kTurnsRange).value_or(32.0);
  parameters.beta_slow = hyperparameters.find_number("rope.scaling.yarn_beta_slow", kTurnsRange).value_or(1.0);
  if (parameters.beta_fast < parameters.beta_slow) {
    hyperparameters.refuse(
        "rope.scaling.yarn_beta_fast",
        fmt::format("below '{}', {:g}", hyperparameters.key("rope.scaling.yarn_beta_slow"), parameters.beta_slow));
  }
  // Negative: "not set" in llama.cpp's files.
  const double extrapolation =
      hyperparameters.find_number("rope.scaling.yarn_ext_factor", NumberRange{-1.0, 1.0}).value_or(1.0);
  parameters.extrapolation = extrapolation < 0.0 ? 1.0 : extrapolation;
  // Converters write transformers' attention_factor, the magnitude itself, as yarn_attn_factor, and mscale_all_dim as
  // the log multiplier; attn_factor multiplies whatever comes out.
  if (const auto given = hyperparameters.find_number("rope.scaling.yarn_attn_factor", kFactorRange)) {
    parameters.magnitude = *given;
  } else {
    const double multiplier =
        hyperparameters.find_number("rope.scaling.yarn_log_multiplier", NumberRange{0.0, 1e3}).value_or(0.0);
    parameters.magnitude = yarn_magnitude(parameters.factor, 1.0);
    if (multiplier != 0.0) parameters.magnitude /= yarn_magnitude(parameters.factor, multiplier);
  }
  parameters.magnitude *= hyperparameters.find_number("rope.scaling.attn_factor", kFactorRange).value_or(1.0);
}

}  // namespace

double yarn_magnitude(double factor, double multiplier) {
  return factor <= 1.0 ? 1.0 : 0.1 * multiplier * std::log(factor) + 1.0;
}

double longrope_magnitude(int32_t context_tokens, int32_t original_context_tokens) {
  if (context_tokens <= original_context_tokens) return 1.0;
  const double original = original_context_tokens;
  return std::sqrt(1.0 + std::log(context_tokens / original) / std::log(original));
}

Rope make_rope(const RopeParameters& parameters) {
  Rope rope;
  rope.style = parameters.style;
  rope.head_width = parameters.head_width;
  rope.magnitude = rounded(parameters.magnitude);
  const Ramp ramp = parameters.scaling == RopeScaling::kYarn ? yarn_ramp(parameters) : Ramp{};
  for (int32_t pair = 0; pair < parameters.rotary_width / 2; ++pair) {
    rope.inverse_frequencies.push_back(frequency_of_pair(parameters, ramp, pair));
  }
  return rope;
}

RopeParameters read_rope(const Checkpoint& checkpoint, const Hyperparameters& hyperparameters,
                         const RopeOfModel& model) {
  RopeParameters parameters;
  const auto pairs = hyperparameters.find_string("rope.pairs");
  if (pairs && *pairs != "halves") hyperparameters.refuse("rope.pairs", "expected halves");
  parameters.style = pairs ? RopeStyle::kHalves : model.style;
  parameters.head_width = model.head_width;
  const auto rotary_width = hyperparameters.find_integer("rope.dimension_count", IntegerRange{1, 1 << 22});
  parameters.rotary_width = rotary_width.value_or(model.head_width);
  if (parameters.rotary_width > model.head_width || parameters.rotary_width % 2 != 0) {
    const std::string why = fmt::format("expected an even number up to the width of a head, {}", model.head_width);
    if (rotary_width) hyperparameters.refuse("rope.dimension_count", why);
    throw Error(ErrorKind::kInvalidModel,
                fmt::format("{}: heads of the odd width {} cannot be rotated", checkpoint.path(), model.head_width));
  }
  parameters.base = hyperparameters.find_number("rope.freq_base", kBaseRange).value_or(10000.0);

  // A factor of 0 is how some converters write "none".
  const double factor =
      hyperparameters.find_number("rope.scaling.factor", NumberRange{0.0, kFactorRange.most}).value_or(0.0);
  parameters.factor = factor == 0.0 ? 1.0 : factor;
  const std::string_view scaling = hyperparameters.find_string("rope.scaling.type").value_or("linear");
  const bool has_factors = checkpoint.find("rope_freqs.weight") != nullptr;
  const bool is_longrope = scaling == "longrope" || checkpoint.find("rope_factors_long.weight") != nullptr ||
                           checkpoint.find("rope_factors_short.weight") != nullptr;
  if (is_longrope) {
    read_longrope(checkpoint, hyperparameters, model, parameters);
  } else if (has_factors) {
    parameters.frequency_factors = read_factors(checkpoint, "rope_freqs.weight", parameters.rotary_width);
  }
  if (scaling == "linear") {
    if (parameters.factor != 1.0) parameters.scaling = RopeScaling::kLinear;
  } else if (scaling == "yarn") {
    read_yarn(hyperparameters, model, parameters);
  } else if (scaling == "llama3") {
    read_llama3(hyperparameters, parameters);
  } else if (scaling != "none" && scaling != "longrope") {
    hyperparameters.refuse("rope.scaling.type", "expected none, linear, llama3, yarn or longrope");
  }
  return parameters;
}

RopeParameters read_window_rope(const Hyperparameters& hyperparameters, const RopeParameters& global, double base) {
  RopeParameters parameters;
  parameters.style = global.style;
  parameters.head_width = global.head_width;
  parameters.rotary_width = global.rotary_width;
  parameters.base = hyperparameters.find_number("rope.freq_base_swa", kBaseRange).value_or(base);
  return parameters;
}

}  // namespace megalith
