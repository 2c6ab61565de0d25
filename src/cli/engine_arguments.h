#pragma once
// Options of every command that runs a model, and the engine that they open.
#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "cli/command.h"
#include "engine/engine.h"

namespace megalith::cli {

/// --ctx, -t, --isa and --pre-tokenizer. What is not given comes from the environment (MEGALITH_CTX, MEGALITH_THREADS,
/// MEGALITH_ISA).
struct EngineArguments {
  int context_tokens = 0;  // 0: not given
  int threads = 0;         // 0: not given
  std::string instruction_set;
  std::string pre_tokenizer;

  void add_context_to(CLI::App& app);
  void add_threads_to(CLI::App& app);
  void add_instruction_set_to(CLI::App& app);
  void add_pre_tokenizer_to(CLI::App& app);

  EngineOptions options(const std::string& model_path, const Environment& environment) const;
};

/// Opens the engine and passes its notices on to the user.
std::unique_ptr<Engine> open_engine_for(Console& console, const EngineOptions& options);

}  // namespace megalith::cli
