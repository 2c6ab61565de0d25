#pragma once
// What a command is. Adding one: a file here with a define function, and its row in the table of main.cpp.
#include <CLI/App.hpp>
#include <functional>
#include <string_view>

#include "base/environment.h"
#include "cli/terminal.h"

namespace megalith::cli {

/// What a running command is given.
struct Console {
  Environment environment;
  Output out;    // facts and answers
  Output error;  // diagnostics, statistics, progress

  /// "note: ..." on standard error.
  void note(std::string_view text);
};

/// What remains to be done once the arguments are parsed. Failures are thrown as megalith::Error.
using Action = std::function<void(Console&)>;

/// A row of the command table.
struct Command {
  std::string_view name;     // "run", or "eval logits": a command of a group
  std::string_view summary;  // one line
  std::string_view details;  // the end of its --help: what options cannot say, and examples
  Action (*define)(CLI::App& app);
};

Action define_run(CLI::App& app);
Action define_chat(CLI::App& app);
Action define_inspect(CLI::App& app);
Action define_tokenize(CLI::App& app);
Action define_template(CLI::App& app);
Action define_eval_logits(CLI::App& app);
Action define_eval_perplexity(CLI::App& app);
Action define_list(CLI::App& app);
Action define_bench(CLI::App& app);
Action define_doctor(CLI::App& app);

}  // namespace megalith::cli
