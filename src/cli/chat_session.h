#pragma once
// A conversation with a model: reads texts and commands, answers them, until there are no more.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/chat_input.h"
#include "cli/chat_view.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/input_history.h"
#include "cli/interrupt.h"
#include "cli/line_reader.h"
#include "engine/engine.h"
#include "text/reasoning.h"

namespace megalith::cli {

struct ChatSettings {
  std::string system;
  Sampling sampling;
  int32_t max_tokens = -1;
  std::vector<std::string> stop;
  std::optional<ReasoningView> reasoning;  // none: shown on a terminal, else hidden
  bool statistics = false;                 // after each answer
  bool history = true;                     // kept for the next chat
};

class ChatSession {
 public:
  /// The engine's model must have a chat template.
  ChatSession(Console& console, Engine& engine, ChatSettings settings);
  /// Returns at /quit or at the end of the input. Where nobody is at a terminal to put it right, throws the first
  /// Error; kInterrupted after SIGTERM or a hang-up.
  void run();

 private:
  std::optional<std::string> read_text();
  LineReader::Line read_line();
  void explain_interrupt(bool was_empty);
  std::string prompt() const;
  void greet();
  /// False at /quit.
  bool handle(const std::string& text);
  bool obey(ChatCommand command, const ChatInput& input);

  void send(const std::string& text);
  void regenerate();
  /// Answers the last message. Throws, and leaves the conversation to be put back, if there is no answer.
  void answer();
  std::vector<TokenId> read_conversation(std::string& prompt_end) const;
  Event generate(std::vector<TokenId> prompt, const std::string& prompt_end, Message& message);
  void explain_end(const Event& finished, const Message& message);
  /// Does `action`; if that throws, the conversation is as it was before.
  template <typename Do>
  void or_put_back(Do action);

  void help();
  void set_system(const std::string& text);
  void reasoning(const std::string& choice);
  void set(const std::string& argument);
  void statistics();
  void save(const ChatInput& input);
  void load(const ChatInput& input);
  void clear();
  void say(const std::string& text);
  void measure_context();
  std::string path_of(const std::string& argument, std::string_view command) const;

  Console& console_;
  Engine& engine_;
  ChatSettings settings_;
  const ReasoningStyle& style_;
  ReasoningView reasoning_view_;
  std::vector<TokenId> shown_controls_;  // marks of reasoning that are control tokens
  ConversationSignals signals_;
  bool interactive_;
  InputHistory history_;
  std::unique_ptr<LineReader> lines_;
  TextAssembler assembler_;
  int empty_interrupts_ = 0;

  Conversation conversation_;
  bool is_saved_ = true;
  std::string unsent_;   // the last message, if it got no answer
  int32_t attempt_ = 0;  // at answering the last message
  int32_t context_used_tokens_ = 0;
  std::optional<Event> last_finished_;
  int32_t answers_ = 0;
  int64_t answer_tokens_ = 0;
};

}  // namespace megalith::cli
