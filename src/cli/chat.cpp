// megalith chat: a conversation with a model.
#include <memory>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/chat_session.h"
#include "cli/command.h"
#include "cli/engine_arguments.h"
#include "cli/sampling_arguments.h"

namespace megalith::cli {

namespace {

struct ChatArguments {
  ModelArgument model;
  SamplingArguments sampling;
  EngineArguments engine;
  ChatSettings settings;
  std::string reasoning;
  bool no_history = false;
};

void chat(Console& console, const ChatArguments& arguments) {
  ChatSettings settings = arguments.settings;
  require_utf8(settings.system, "the system text (--system)");
  check_stop_strings(settings.stop);
  settings.sampling = arguments.sampling.take();
  settings.history = !arguments.no_history;
  if (arguments.reasoning == "show") settings.reasoning = ReasoningView::kShow;
  if (arguments.reasoning == "fold") settings.reasoning = ReasoningView::kFold;
  if (arguments.reasoning == "hide") settings.reasoning = ReasoningView::kHide;
  const std::string path = arguments.model.take_path(console.environment);
  const auto engine = open_engine_for(console, arguments.engine.options(path, console.environment));
  if (!engine->properties().has_chat_template) {
    throw Error(ErrorKind::kUsage,
                "the model has no usable chat template, so that it knows no conversations; 'megalith "
                "run --raw' completes plain text");
  }
  ChatSession(console, *engine, std::move(settings)).run();
}

}  // namespace

Action define_chat(CLI::App& app) {
  auto arguments = std::make_shared<ChatArguments>();
  arguments->model.add_to(app);
  app.add_option("--system", arguments->settings.system, "What the model should keep to, as its system message")
      ->type_name("TEXT");
  app.add_option("--reasoning", arguments->reasoning,
                 "What is shown of the model's reasoning: show, fold to one line, hide [show on a terminal, else hide]")
      ->type_name("HOW")
      ->check(CLI::IsMember({"show", "fold", "hide"}));
  app.add_flag("--no-history", arguments->no_history, "Keep nothing of what is typed for the next chat");
  add_max_tokens_option(app, arguments->settings.max_tokens);
  add_stop_option(app, arguments->settings.stop);
  arguments->sampling.add_to(app);
  arguments->engine.add_context_to(app);
  arguments->engine.add_threads_to(app);
  arguments->engine.add_instruction_set_to(app);
  arguments->engine.add_pre_tokenizer_to(app);
  app.add_flag("--stats", arguments->settings.statistics, "Print a line of statistics after each answer");
  return [arguments](Console& console) { chat(console, *arguments); };
}

}  // namespace megalith::cli
