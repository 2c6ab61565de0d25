// The commands of a chat.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "base/error.h"
#include "base/ledger.h"
#include "cli/answers.h"
#include "cli/arguments.h"
#include "cli/chat_session.h"
#include "cli/sampling_arguments.h"
#include "cli/suggest.h"

namespace megalith::cli {

void ChatSession::say(const std::string& text) { console_.out.write(console_.out.dim(printable(text)) + "\n"); }

void ChatSession::help() {
  std::string text;
  for (const ChatCommandRow& row : chat_commands())
    text += fmt::format("  {:<29}{}\n", fmt::format("{} {}", row.name, row.argument), row.help);
  text +=
      "A backslash at the end of a line goes on with the next; a line of \"\"\" opens and closes a text of several "
      "lines,\n"
      "Alt-Enter begins a new line, and pasted lines stay together. A message that begins with / is written with //.\n"
      "Ctrl-C stops an answer, or clears the line. Before the prompt: tokens of the context used, and in all.\n";
  console_.out.write(text);
}

void ChatSession::set_system(const std::string& text) {
  if (text.empty()) {
    const std::string system(conversation_.system());
    return say(system.empty() ? "no system text is set; the template may have its own" : system);
  }
  conversation_.set_system(text == "-" ? "" : text);
  is_saved_ = is_saved_ && !conversation_.has_turns();
  measure_context();
}

void ChatSession::reasoning(const std::string& choice) {
  if (choice == "show") {
    reasoning_view_ = ReasoningView::kShow;
  } else if (choice == "fold") {
    reasoning_view_ = ReasoningView::kFold;
  } else if (choice == "hide") {
    reasoning_view_ = ReasoningView::kHide;
  } else if (!choice.empty()) {
    throw Error(ErrorKind::kUsage, fmt::format("/reasoning '{}': give show, fold or hide, or nothing to see the last",
                                               printable_line(choice)));
  } else {
    const std::vector<Message>& messages = conversation_.messages();
    const std::string last = messages.empty() ? "" : messages.back().reasoning;
    say(last.empty() ? "the last answer came without reasoning" : last);
  }
}

void ChatSession::set(const std::string& argument) {
  const Sampling& s = settings_.sampling;
  if (argument.empty()) {
    const std::string seed = s.seed ? std::to_string(*s.seed) : "drawn";
    return say(
        fmt::format("temp {:g}  top-k {}  top-p {:g}  min-p {:g}  repeat-penalty {:g}  seed {}  max-tokens {}\n"
                    "/set NAME VALUE takes every sampling option of 'megalith chat --help'",
                    s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty, seed, settings_.max_tokens));
  }
  const std::string_view words =
      std::string_view(argument).substr(std::min(argument.find_first_not_of('-'), argument.size()));
  const size_t space = std::min(words.find_first_of(" \t="), words.size());
  const std::string name(words.substr(0, space));
  const size_t value_at = words.find_first_not_of(" \t=", space);
  if (value_at == std::string_view::npos)
    throw Error(ErrorKind::kUsage, fmt::format("/set {} needs a value, as in: /set temp 0.2", printable_line(name)));
  const std::string value(words.substr(value_at));
  CLI::App app;
  app.set_help_flag();
  SamplingArguments arguments;
  arguments.sampling = s;
  arguments.add_to(app);
  int32_t max_tokens = settings_.max_tokens;
  add_max_tokens_option(app, max_tokens);
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& known : option->get_lnames()) names.push_back(known);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw Error(ErrorKind::kUsage, fmt::format("/set has no '{}'{}", printable_line(name), did_you_mean(name, names)));
  try {
    app.parse(std::vector<std::string>{fmt::format("--{}={}", name, value)});
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::kUsage, fmt::format("/set: {}", error.what()));
  }
  settings_.sampling = arguments.take();
  settings_.max_tokens = max_tokens;
}

void ChatSession::statistics() {
  const EngineProperties& model = engine_.properties();
  std::string text = fmt::format("context      {} of {} tokens, {} messages\n", context_used_tokens_,
                                 model.context_tokens, conversation_.messages().size());
  if (last_finished_)
    text += fmt::format("last answer  {}\n", statistics_line(*last_finished_, settings_.sampling.temperature == 0));
  text += fmt::format("all answers  {}, {} tokens\n", answers_, answer_tokens_);
  for (const Ledger::Line& line : engine_.memory())
    text += fmt::format("memory       {}: {}\n", line.name, format_bytes(line.bytes));
  text += fmt::format("engine       {}, {}, {} threads\n", model.backend, model.instruction_set, model.threads);
  console_.out.write(printable(text));
}

std::string ChatSession::path_of(const std::string& argument, std::string_view command) const {
  if (argument.empty())
    throw Error(ErrorKind::kUsage, fmt::format("{} needs a file, as in: {} chat.json", command, command));
  return argument.starts_with("~/") ? console_.environment.home + argument.substr(1) : argument;
}

void ChatSession::save(const ChatInput& input) {
  const std::string path = path_of(input.text, "/save");
  if (conversation_.messages().empty()) throw Error(ErrorKind::kUsage, "there is nothing to save yet");
  save_conversation(conversation_, engine_.properties().model_path, path,
                    input.insists ? Existing::kReplace : Existing::kKeep);
  is_saved_ = true;
  say(fmt::format("{} messages written to {}", conversation_.messages().size(), path));
}

void ChatSession::load(const ChatInput& input) {
  const std::string path = path_of(input.text, "/load");
  Conversation loaded = Conversation::from_json(read_file(path, "/load"), path);
  if (!is_saved_ && !input.insists) {
    throw Error(ErrorKind::kUsage, fmt::format("the conversation is not saved; '/save FILE' first, or give it up with "
                                               "'/load! {}'",
                                               path));
  }
  conversation_ = std::move(loaded);
  is_saved_ = true;
  attempt_ = 0;
  unsent_.clear();
  measure_context();
  const std::vector<Message>& messages = conversation_.messages();
  const bool open = conversation_.has_turns() && messages.back().role == Message::Role::kUser;
  say(fmt::format("{} messages read from {}{}", messages.size(), path,
                  open ? "; the last one has no answer yet, /regen answers it" : ""));
}

void ChatSession::clear() {
  conversation_.clear_turns();
  is_saved_ = true;
  attempt_ = 0;
  measure_context();
}

void ChatSession::measure_context() {
  context_used_tokens_ = 0;
  if (!conversation_.has_turns()) return;
  try {
    const Json variables{{"messages", conversation_.to_json()}, {"add_generation_prompt", false}};
    const std::string text = engine_.apply_template(json_line(variables));
    context_used_tokens_ =
        static_cast<int32_t>(engine_.tokenize(text, {.add_special = false, .parse_special = true}).size());
  } catch (const Error&) {
    // The template refuses the conversation; the next message will say why.
  }
}

}  // namespace megalith::cli
