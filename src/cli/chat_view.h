#pragma once
// How one answer of a chat is shown while it comes: reasoning dimmed, folded or hidden, the answer as Markdown.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/markdown.h"

namespace megalith::cli {

/// What is shown of a model's reasoning. Folded: one line that says how much there was.
enum class ReasoningView { kShow, kFold, kHide };

class ChatView {
 public:
  /// `prompt_tokens`: what is being read until the first token comes.
  ChatView(Console& console, ReasoningView reasoning, size_t prompt_tokens);
  ~ChatView();
  ChatView(const ChatView&) = delete;
  ChatView& operator=(const ChatView&) = delete;

  /// To be called often; says what goes on if nothing is to be seen for a while.
  void tick();
  /// `tokens`: that this text is made of.
  void reasoning(std::string_view text, int tokens);
  void content(std::string_view text);
  /// Ends the last line. Without it, as when something is thrown, the destructor does.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  bool can_rewrite() const;
  void show_status(const std::string& text);
  void clear_status();
  void end_reasoning();
  void write(const std::string& text);
  void end_line();

  Console& console_;
  ReasoningView view_;
  size_t prompt_tokens_;
  Clock::time_point start_, last_status_;
  std::optional<Clock::time_point> thinking_since_;
  int reasoning_tokens_ = 0;
  bool anything_came_ = false;
  bool status_shown_ = false;
  bool at_line_begin_ = true;
  bool finished_ = false;
  Markdown reasoning_markdown_;
  Markdown content_markdown_;
};

}  // namespace megalith::cli
