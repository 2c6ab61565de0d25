#include "cli/chat_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "cli/answers.h"
#include "cli/arguments.h"
#include "cli/sampling_arguments.h"
#include "cli/suggest.h"
#include "eval/drive.h"

namespace megalith::cli {

namespace {

/// Marks that stand for themselves as one control token, whose text events would leave out.
std::vector<TokenId> control_tokens(const Engine& engine, const ReasoningStyle& style) {
  std::vector<TokenId> tokens;
  for (const std::string_view mark : style.marks) {
    const std::vector<TokenId> ids = engine.tokenize(mark, {.add_special = false, .parse_special = true});
    if (ids.size() == 1 && engine.detokenize(ids, Tokenizer::Special::kOmit).empty()) tokens.push_back(ids[0]);
  }
  return tokens;
}

std::string model_name(const EngineProperties& properties) {
  const std::string& name = properties.model_name;
  return printable_line(name.empty() ? std::filesystem::path(properties.model_path).filename().string() : name);
}

std::string without_outer_line_ends(const std::string& text) {
  const size_t begin = text.find_first_not_of("\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of("\r\n") + 1 - begin);
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

LineEditorOptions editor_options(const Environment& environment, const InputHistory& history) {
  LineEditorOptions options;
  options.history = history.entries();
  if (environment.dumb_terminal) options.paste = LineEditorOptions::Paste::kPlain;
  for (const ChatCommandRow& row : chat_commands()) options.completions.emplace_back(row.name);
  return options;
}

constexpr size_t kTemplateTailBytes = 4096;

}  // namespace

ChatSession::ChatSession(Console& console, Engine& engine, ChatSettings settings)
    : console_(console),
      engine_(engine),
      settings_(std::move(settings)),
      style_(reasoning_style(engine.properties().reasoning_style)),
      reasoning_view_(
          settings_.reasoning.value_or(console.out.is_terminal() ? ReasoningView::kShow : ReasoningView::kHide)),
      shown_controls_(control_tokens(engine, style_)),
      interactive_(can_edit_lines()),
      history_(interactive_ && settings_.history ? console.environment.state_dir + "/chat_history" : ""),
      lines_(interactive_ ? make_line_editor(signals_, editor_options(console.environment, history_))
                          : make_plain_line_reader(signals_)) {
  conversation_.set_system(settings_.system);
}

void ChatSession::run() {
  if (interactive_) greet();
  while (true) {
    const std::optional<std::string> text = read_text();
    if (signals_.must_end()) throw Error(ErrorKind::kInterrupted, "asked to end");
    if (!text) return;
    try {
      if (!handle(*text)) return;
    } catch (const Error& error) {
      if (!interactive_ || signals_.must_end()) throw;
      if (error.kind() != ErrorKind::kInterrupted)
        console_.error.try_write(console_.error.red(printable(error.what())) + "\n");
    }
  }
}

void ChatSession::greet() {
  const EngineProperties& model = engine_.properties();
  say(fmt::format("{}, a context of {} tokens. /help lists the commands, Ctrl-D leaves.", model_name(model),
                  model.context_tokens));
}

std::string ChatSession::prompt() const {
  if (assembler_.is_open()) return "... ";
  const std::string used = fmt::format("{}/{}", context_used_tokens_, engine_.properties().context_tokens);
  if (!console_.out.has_styles()) return used + " > ";
  return "\1\x1b[2m\1" + used + "\1\x1b[0m\1 > ";
}

void ChatSession::explain_interrupt(bool was_empty) {
  const bool had_text = assembler_.is_open() || !was_empty;
  assembler_.discard();
  empty_interrupts_ = had_text ? 0 : empty_interrupts_ + 1;
  if (empty_interrupts_ == 2) say("Ctrl-D or /quit leaves.");
}

LineReader::Line ChatSession::read_line() {
  while (true) {
    LineReader::Line line = lines_->read(prompt());
    if (line.status != LineReader::Status::kInterrupted) {
      empty_interrupts_ = 0;
      return line;
    }
    if (!interactive_) throw Error(ErrorKind::kInterrupted, "interrupted");
    explain_interrupt(line.was_empty);
  }
}

std::optional<std::string> ChatSession::read_text() {
  while (true) {
    const LineReader::Line line = read_line();
    if (line.status == LineReader::Status::kEnd) {
      if (!assembler_.is_open() || signals_.must_end()) return std::nullopt;
      const bool in_block = assembler_.in_block();
      assembler_.discard();
      if (interactive_) continue;  // Ctrl-D gives the text up, not the conversation
      throw Error(ErrorKind::kUsage, in_block ? "the input ends inside a block; close it with a line of \"\"\""
                                              : "the input ends after a backslash; there is no line to go on with");
    }
    // Pasted text is whole.
    const bool is_pasted = !assembler_.is_open() && line.text.find('\n') != std::string::npos;
    std::optional<std::string> text = is_pasted ? line.text : assembler_.take_line(line.text);
    if (!text) continue;
    if (history_.add(*text)) lines_->remember(*text);
    if (!is_blank(*text)) return text;
  }
}

bool ChatSession::handle(const std::string& text) {
  require_utf8(text, "the message");
  const ChatInput input = parse_chat_input(text);
  if (input.command) return obey(*input.command, input);
  send(input.text);
  return true;
}

bool ChatSession::obey(ChatCommand command, const ChatInput& input) {
  switch (command) {
    case ChatCommand::kHelp:
      help();
      break;
    case ChatCommand::kSystem:
      set_system(input.text);
      break;
    case ChatCommand::kReasoning:
      reasoning(input.text);
      break;
    case ChatCommand::kSet:
      set(input.text);
      break;
    case ChatCommand::kRegenerate:
      regenerate();
      break;
    case ChatCommand::kStatistics:
      statistics();
      break;
    case ChatCommand::kSave:
      save(input);
      break;
    case ChatCommand::kLoad:
      load(input);
      break;
    case ChatCommand::kClear:
      clear();
      break;
    case ChatCommand::kQuit:
      return false;
  }
  return true;
}

template <typename Do>
void ChatSession::or_put_back(Do action) {
  const Conversation before = conversation_;
  try {
    action();
  } catch (...) {
    conversation_ = before;
    throw;
  }
}

void ChatSession::send(const std::string& text) {
  attempt_ = 0;
  unsent_ = text;
  or_put_back([&] {
    conversation_.add({Message::Role::kUser, text});
    answer();
  });
  unsent_.clear();
}

void ChatSession::regenerate() {
  if (!unsent_.empty()) return send(std::exchange(unsent_, {}));
  if (!conversation_.has_turns()) throw Error(ErrorKind::kUsage, "there is no message to answer yet");
  or_put_back([&] {
    if (conversation_.messages().back().role == Message::Role::kAssistant) conversation_.remove_last();
    // The same seed gives other random numbers for another attempt.
    ++attempt_;
    if (settings_.sampling.temperature == 0) console_.note("at temperature 0 every attempt gives the same answer");
    answer();
  });
}

std::vector<TokenId> ChatSession::read_conversation(std::string& prompt_end) const {
  const std::string prompt = engine_.apply_template(json_line({{"messages", conversation_.to_json()}}));
  prompt_end = prompt.substr(prompt.size() - std::min(prompt.size(), kTemplateTailBytes));
  return engine_.tokenize(prompt, {.add_special = false, .parse_special = true});
}

void ChatSession::answer() {
  std::string prompt_end;
  std::vector<TokenId> prompt = read_conversation(prompt_end);
  const auto context = static_cast<size_t>(engine_.properties().context_tokens);
  if (prompt.size() >= context) {
    const std::string_view cure = interactive_ ? "; after /clear, /regen sends the message alone" : "";
    throw Error(
        ErrorKind::kUsage,
        fmt::format("with this message the conversation has {} tokens, but the context is {} tokens. Nothing was "
                    "changed. Begin anew with /clear, or start with a larger --ctx{}",
                    prompt.size(), context, cure));
  }
  Message message{Message::Role::kAssistant, {}};
  const Event finished = generate(std::move(prompt), prompt_end, message);
  const bool is_nothing = message.content.empty() && message.reasoning.empty();
  if (signals_.must_end() || (finished.reason == FinishReason::kCancelled && is_nothing))
    throw Error(ErrorKind::kInterrupted, "interrupted before the answer began");
  conversation_.add(message);
  is_saved_ = false;
  context_used_tokens_ = finished.usage.prompt_tokens + finished.usage.completion_tokens;
  last_finished_ = finished;
  ++answers_;
  answer_tokens_ += finished.usage.completion_tokens;
  explain_end(finished, message);
  if (message.cut_off && !interactive_) throw Error(ErrorKind::kInterrupted, "interrupted");
}

Event ChatSession::generate(std::vector<TokenId> prompt, const std::string& prompt_end, Message& message) {
  Request request;
  request.prompt = std::move(prompt);
  request.sampling = settings_.sampling;
  request.max_tokens = settings_.max_tokens;
  request.stop = settings_.stop;
  request.shown_controls = shown_controls_;
  request.choice = attempt_;
  ReasoningSplitter splitter(style_, prompt_end);
  ChatView view(console_, reasoning_view_, request.prompt.size());
  int tokens = 0;  // that no piece has shown yet
  const auto show = [&](const std::vector<ReasoningSplitter::Piece>& pieces) {
    for (const auto& [kind, text] : pieces) {
      const int made_of = std::exchange(tokens, 0);
      if (kind == ReasoningSplitter::Piece::Kind::kReasoning) {
        message.reasoning += text;
        view.reasoning(text, made_of);
      } else {
        message.content += text;
        view.content(text);
      }
    }
  };
  const auto stop_requested = [&] {
    view.tick();
    return interrupted() || signals_.must_end();
  };
  const auto on_token = [&](const Event& event) {
    ++tokens;
    show(splitter.push(event.text));
  };
  Event finished;
  {
    const EchoOff no_echo;
    finished = drive_one(engine_, std::move(request), {.on_token = on_token, .stop_requested = stop_requested});
  }
  signals_.take_interrupt();
  show(splitter.push(finished.text));
  show(splitter.finish());
  view.finish();
  message.reasoning = without_outer_line_ends(message.reasoning);
  message.cut_off = finished.reason == FinishReason::kCancelled;
  return finished;
}

void ChatSession::explain_end(const Event& finished, const Message& message) {
  const int32_t context = engine_.properties().context_tokens;
  if (message.cut_off) {
    say("(stopped; what there is counts as the answer, /regen asks for another)");
  } else if (finished.reason == FinishReason::kLength && context_used_tokens_ >= context) {
    console_.note(
        fmt::format("the context of {} tokens is full; begin anew with /clear, or start with a larger --ctx", context));
  } else if (finished.reason == FinishReason::kLength) {
    console_.note(fmt::format("the answer was ended after {} tokens, as --max-tokens says", settings_.max_tokens));
  }
  if (settings_.statistics)
    console_.error.try_write(console_.error.dim(statistics_line(finished, settings_.sampling.temperature == 0)) + "\n");
}

}  // namespace megalith::cli
