// megalith eval perplexity: how well a model predicts a text.
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/engine_arguments.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "eval/perplexity.h"

namespace megalith::cli {

namespace {

struct PerplexityArguments {
  ModelArgument model;
  std::string file;
  EngineArguments engine;
  bool json = false;
};

void eval_perplexity(Console& console, const PerplexityArguments& arguments) {
  std::string file = arguments.file;
  const std::string path = arguments.model.take_path(console.environment, &file);
  if (file.empty() && !standard_input_is_redirected())
    throw Error(ErrorKind::kUsage, "no text given; name a FILE, or pipe the text in");
  const std::string text = file.empty() || file == "-" ? read_standard_input() : read_file(file, "FILE");
  const std::unique_ptr<Engine> engine = open_engine_for(console, arguments.engine.options(path, console.environment));
  Progress progress(console.error, "reading");
  PerplexityOptions options;
  options.window_tokens = arguments.engine.context_tokens;
  options.progress = [&](int64_t done, int64_t all) {
    progress.update(static_cast<double>(done) / static_cast<double>(all));
  };
  options.stop_requested = interrupted;
  const auto start = std::chrono::steady_clock::now();
  const PerplexityResult result = measure_perplexity(*engine, text, options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  progress.clear();
  if (arguments.json) {
    return write_json(console.out, {{"model", path},
                                    {"perplexity", result.perplexity},
                                    {"standard_error", result.standard_error},
                                    {"mean_log_likelihood", result.mean_log_likelihood},
                                    {"text_tokens", result.text_tokens},
                                    {"scored_tokens", result.scored_tokens},
                                    {"windows", result.windows},
                                    {"window_tokens", result.window_tokens},
                                    {"seconds", seconds}});
  }
  console.out.write(fmt::format("perplexity {:.4f} +- {:.4f} ({} tokens scored in {} window{} of {}, {:.1f} s)\n",
                                result.perplexity, result.standard_error, result.scored_tokens, result.windows,
                                result.windows == 1 ? "" : "s", result.window_tokens, seconds));
}

}  // namespace

Action define_eval_perplexity(CLI::App& app) {
  auto arguments = std::make_shared<PerplexityArguments>();
  arguments->model.add_to(app);
  app.add_option("FILE", arguments->file, "The text; '-' or none: standard input")->type_name("");
  app.add_option("-c,--ctx", arguments->engine.context_tokens, "Tokens of a window [the model's context, at most 2048]")
      ->type_name("N")
      ->transform(whole_number(2, 1 << 30, "a number of tokens"));
  arguments->engine.add_threads_to(app);
  arguments->engine.add_instruction_set_to(app);
  arguments->engine.add_pre_tokenizer_to(app);
  app.add_flag("--json", arguments->json, "Print one JSON document");
  return [arguments](Console& console) { eval_perplexity(console, *arguments); };
}

}  // namespace megalith::cli
