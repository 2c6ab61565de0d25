#pragma once
// How answers are drawn: the options of every command that generates text.
#include <CLI/App.hpp>
#include <cstdint>
#include <optional>

#include "engine/engine.h"

namespace megalith::cli {

struct SamplingArguments {
  Sampling sampling;
  uint64_t seed = 0;
  CLI::Option* seed_option = nullptr;

  void add_to(CLI::App& app);
  Sampling take() const;
};

}  // namespace megalith::cli
