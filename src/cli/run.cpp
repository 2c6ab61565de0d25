// megalith run: one prompt, one answer, streamed.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <random>

#include "base/error.h"
#include "cli/answers.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/engine_arguments.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/sampling_arguments.h"
#include "eval/drive.h"
#include "hub/hub.h"

namespace megalith::cli {

namespace {

constexpr uint64_t kMostChoices = 1000;
// Choices beyond these wait for their turn: each that runs has memory for a whole context of its own.
constexpr int32_t kChoicesAtOnce = 8;

struct RunArguments {
  ModelArgument model;
  std::string prompt;
  std::string prompt_flag;
  std::string tokens;
  std::string system;
  bool raw = false;
  int32_t max_tokens = -1;
  std::vector<std::string> stop;
  SamplingArguments sampling;
  EngineArguments engine;
  int32_t choices = 1;
  int32_t logprobs = -1;
  bool stats = false;
  bool json = false;
  // Whether they were given at all: an empty text is not the same as none.
  CLI::Option* prompt_option = nullptr;
  CLI::Option* tokens_option = nullptr;
  CLI::Option* system_option = nullptr;
};

void strip_final_line_end(std::string& text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
}

// The user's text. `positional` is what stands after MODEL.
std::string take_prompt(const RunArguments& arguments, const std::string& positional) {
  const bool flag_given = !arguments.prompt_flag.empty();
  const bool positional_given = arguments.prompt_option->count() > 0 || !positional.empty();
  if (flag_given && positional_given)
    throw Error(ErrorKind::kUsage, "the prompt is given twice, as an argument and with -p; leave one out");
  std::string prompt = flag_given ? arguments.prompt_flag : positional;
  if (prompt == "-" || (!flag_given && !positional_given)) {
    if (prompt != "-" && !standard_input_is_redirected())
      throw Error(ErrorKind::kUsage, "no prompt given; write it in quotes after MODEL, or pipe it in");
    prompt = read_standard_input();
    strip_final_line_end(prompt);
  }
  if (prompt.empty()) throw Error(ErrorKind::kUsage, "the prompt is empty");
  require_utf8(prompt, "the prompt");
  return prompt;
}

// Plain text as the model's makers begin one: with BOS where it wants that, but never two of them.
std::vector<TokenId> tokenize_plain(const Engine& engine, const std::string& text) {
  std::vector<TokenId> tokens = engine.tokenize(text, {.add_special = true, .parse_special = true});
  const std::optional<TokenId> bos = engine.properties().bos;
  if (bos && tokens.size() > 1 && tokens[0] == *bos && tokens[1] == *bos) tokens.erase(tokens.begin());
  return tokens;
}

std::vector<TokenId> tokenize_prompt(Console& console, const RunArguments& arguments, const Engine& engine,
                                     const std::string& prompt) {
  const bool has_system = arguments.system_option->count() > 0;
  if (!arguments.raw && !engine.properties().has_chat_template) {
    if (has_system) throw Error(ErrorKind::kUsage, "--system needs a model with a usable chat template");
    console.note("the model has no chat template; the prompt is completed as plain text, as with --raw");
  }
  if (arguments.raw || !engine.properties().has_chat_template) return tokenize_plain(engine, prompt);
  Json messages = Json::array();
  if (has_system) messages.push_back({{"role", "system"}, {"content", arguments.system}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  const std::string text = engine.apply_template(json_line({{"messages", std::move(messages)}}));
  return engine.tokenize(text, {.add_special = false, .parse_special = true});
}

/// One request for each choice; its index is its id. They share the seed: the choice index is part of the random key.
std::vector<Request> make_requests(const RunArguments& arguments, Sampling sampling, std::vector<TokenId> prompt) {
  if (!sampling.seed) {
    std::random_device device;
    sampling.seed = (static_cast<uint64_t>(device()) << 32) | device();
  }
  Request request;
  request.prompt = std::move(prompt);
  request.sampling = std::move(sampling);
  request.max_tokens = arguments.max_tokens;
  request.stop = arguments.stop;
  request.top_logprobs = arguments.logprobs;
  std::vector<Request> requests(static_cast<size_t>(arguments.choices), request);
  for (size_t choice = 0; choice < requests.size(); ++choice) {
    requests[choice].id = choice;
    requests[choice].choice = static_cast<int32_t>(choice);
  }
  return requests;
}

AnswersOptions answers_options(const RunArguments& arguments, const Sampling& sampling) {
  AnswersOptions options;
  options.choices = static_cast<size_t>(arguments.choices);
  options.form = arguments.json ? AnswersOptions::Form::kJson : AnswersOptions::Form::kText;
  options.statistics = arguments.stats;
  options.logprobs = arguments.logprobs >= 0;
  options.greedy = sampling.temperature == 0;
  return options;
}

void check_texts(const RunArguments& arguments) {
  require_utf8(arguments.system, "the system text (--system)");
  check_stop_strings(arguments.stop);
}

std::string resolve(const std::string& model, const Environment& environment) {
  try {
    return resolve_model(model, environment);
  } catch (const Error& error) {
    const bool is_a_sentence = error.kind() == ErrorKind::kModelNotFound && model.find(' ') != std::string::npos;
    if (!is_a_sentence) throw;
    throw Error(error.kind(), fmt::format("no model '{}'; the first argument is the MODEL, as in: megalith run smollm2 "
                                          "\"Why is the sky blue?\"",
                                          model));
  }
}

void run(Console& console, const RunArguments& arguments) {
  check_texts(arguments);
  const Sampling sampling = arguments.sampling.take();
  std::string positional = arguments.prompt;
  const std::string model = arguments.model.take(&positional);
  const bool from_tokens = arguments.tokens_option->count() > 0;
  if (from_tokens && (!positional.empty() || !arguments.prompt_flag.empty()))
    throw Error(ErrorKind::kUsage, "both a prompt and --tokens are given; leave one out");
  // The model first: nobody should type a long prompt for a name that does not exist.
  const std::string path = resolve(model, console.environment);
  std::vector<TokenId> tokens;
  std::string prompt;
  if (from_tokens) {
    tokens = parse_token_ids(arguments.tokens);
    if (tokens.empty()) throw Error(ErrorKind::kUsage, "--tokens is empty");
  } else {
    prompt = take_prompt(arguments, positional);
  }
  EngineOptions options = arguments.engine.options(path, console.environment);
  options.max_sequences = std::min(arguments.choices, kChoicesAtOnce);
  const std::unique_ptr<Engine> engine = open_engine_for(console, options);
  if (!from_tokens) tokens = tokenize_prompt(console, arguments, *engine, prompt);

  Answers answers(console, *engine, answers_options(arguments, sampling));
  try {
    const std::vector<Event> finished =
        drive(*engine, make_requests(arguments, sampling, std::move(tokens)),
              {.on_token = [&](const Event& event) { answers.take_token(event); }, .stop_requested = interrupted});
    answers.finish(finished);
  } catch (const Error&) {
    answers.break_off();
    throw;
  }
  throw_if_interrupted();
}

}  // namespace

Action define_run(CLI::App& app) {
  auto arguments = std::make_shared<RunArguments>();
  arguments->model.add_to(app);
  arguments->prompt_option =
      app.add_option("PROMPT", arguments->prompt, "The question; '-' or none: standard input")->type_name("");
  app.add_option("-p,--prompt", arguments->prompt_flag, "The same as PROMPT")->type_name("TEXT");
  arguments->tokens_option =
      app.add_option("--tokens", arguments->tokens, "Token ids instead of a prompt: \"1 2 3\"")->type_name("IDS");
  arguments->system_option =
      app.add_option("--system", arguments->system, "What the model should keep to, as its system message")
          ->type_name("TEXT");
  CLI::Option* raw =
      app.add_flag("--raw", arguments->raw, "Complete the prompt as plain text, without the chat template");
  arguments->system_option->excludes(raw)->excludes(arguments->tokens_option);
  raw->excludes(arguments->tokens_option);
  add_max_tokens_option(app, arguments->max_tokens);
  add_stop_option(app, arguments->stop);
  app.add_option("--choices", arguments->choices, "Answers to draw, each with random numbers of its own [1]")
      ->type_name("N")
      ->transform(whole_number(1, kMostChoices, "a number of answers"));
  arguments->sampling.add_to(app);
  arguments->engine.add_context_to(app);
  arguments->engine.add_threads_to(app);
  arguments->engine.add_instruction_set_to(app);
  arguments->engine.add_pre_tokenizer_to(app);
  app.add_flag("--stats", arguments->stats, "Print a line of statistics even if standard error is no terminal");
  CLI::Option* json =
      app.add_flag("--json", arguments->json, "Print one JSON document at the end instead of streaming");
  app.add_option("--logprobs", arguments->logprobs,
                 "With --json: log-probabilities of each token and of the N likeliest")
      ->type_name("N")
      ->transform(whole_number(0, 1000, "a number"))
      ->needs(json);
  return [arguments](Console& console) { run(console, *arguments); };
}

}  // namespace megalith::cli
