#include "cli/engine_arguments.h"

#include "cli/arguments.h"
#include "cli/interrupt.h"

namespace megalith::cli {

namespace {

constexpr uint64_t kMostThreads = 4096;
constexpr uint64_t kMostTokens = 1 << 30;

}  // namespace

void EngineArguments::add_context_to(CLI::App& app) {
  app.add_option("-c,--ctx", context_tokens, "Context in tokens, prompt and answer together [the model's own]")
      ->type_name("N")
      ->transform(whole_number(1, kMostTokens, "a number of tokens"));
}

void EngineArguments::add_threads_to(CLI::App& app) {
  app.add_option("-t,--threads", threads, "Threads [one for each physical core]")
      ->type_name("N")
      ->transform(whole_number(1, kMostThreads, "a number of threads"));
}

void EngineArguments::add_instruction_set_to(CLI::App& app) {
  app.add_option("--isa", instruction_set, "Instruction set: scalar, avx2, avx512, ... [the best there is]")
      ->type_name("NAME");
}

void EngineArguments::add_pre_tokenizer_to(CLI::App& app) { add_pre_tokenizer_option(app, pre_tokenizer); }

EngineOptions EngineArguments::options(const std::string& model_path, const Environment& environment) const {
  EngineOptions options;
  options.model_path = model_path;
  options.context_tokens = context_tokens > 0 ? context_tokens : environment.context_tokens.value_or(0);
  options.threads = threads > 0 ? threads : environment.threads.value_or(0);
  options.instruction_set = !instruction_set.empty() ? instruction_set : environment.instruction_set.value_or("");
  options.pre_tokenizer = pre_tokenizer;
  return options;
}

std::unique_ptr<Engine> open_engine_for(Console& console, const EngineOptions& options) {
  std::unique_ptr<Engine> engine = open_engine(options);
  throw_if_interrupted();
  for (const std::string& notice : engine->properties().notices) console.note(notice);
  return engine;
}

}  // namespace megalith::cli
