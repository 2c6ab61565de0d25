#pragma once
// How answers are drawn: the options of every command that generates text.
#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace megalith::cli {

struct SamplingArguments {
  Sampling sampling;
  uint64_t seed = 0;
  std::vector<std::string> logit_biases;
  std::vector<std::string> dry_breakers;
  CLI::Option* seed_option = nullptr;
  CLI::Option* dry_breakers_option = nullptr;

  void add_to(CLI::App& app);
  /// Throws kUsage naming the option whose text cannot be read.
  Sampling take() const;

 private:
  void add_cuts_to(CLI::App& app);
  void add_penalties_to(CLI::App& app);
};

/// "ID=BIAS", "ID+BIAS" or "ID-BIAS", as in "42=-inf" and "42+1.5". Throws kUsage naming --logit-bias.
std::pair<TokenId, float> parse_logit_bias(const std::string& text);

}  // namespace megalith::cli
