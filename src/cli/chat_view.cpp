#include "cli/chat_view.h"

#include <fmt/format.h>

namespace megalith::cli {

namespace {

constexpr auto kQuietFor = std::chrono::seconds(1);
constexpr auto kStatusEvery = std::chrono::milliseconds(200);

}  // namespace

ChatView::ChatView(Console& console, ReasoningView reasoning, size_t prompt_tokens)
    : console_(console),
      view_(reasoning),
      prompt_tokens_(prompt_tokens),
      start_(Clock::now()),
      last_status_(start_),
      reasoning_markdown_(console.out.columns(), kDim),
      content_markdown_(console.out.columns()) {}

ChatView::~ChatView() {
  if (finished_) return;
  if (status_shown_) console_.out.try_write("\r\x1b[K");
  if (console_.out.has_styles()) console_.out.try_write("\x1b[0m");
  if (!at_line_begin_) console_.out.try_write("\n");
}

bool ChatView::can_rewrite() const { return console_.out.is_terminal() && !console_.environment.dumb_terminal; }

void ChatView::show_status(const std::string& text) {
  if (!can_rewrite()) return;
  const auto now = Clock::now();
  if (status_shown_ && now - last_status_ < kStatusEvery) return;
  last_status_ = now;
  status_shown_ = true;
  console_.out.write("\r\x1b[K" + console_.out.dim(text));
}

void ChatView::clear_status() {
  if (status_shown_) console_.out.write("\r\x1b[K");
  status_shown_ = false;
}

void ChatView::tick() {
  if (anything_came_ || Clock::now() - start_ < kQuietFor) return;
  show_status(fmt::format("reading {} tokens ...", prompt_tokens_));
}

void ChatView::reasoning(std::string_view text, int tokens) {
  if (!thinking_since_) thinking_since_ = Clock::now();
  if (!anything_came_) clear_status();
  const bool first = reasoning_tokens_ == 0;
  anything_came_ = true;
  reasoning_tokens_ += tokens;
  if (view_ != ReasoningView::kShow) {
    show_status(fmt::format("thinking ... {} tokens", reasoning_tokens_));
  } else if (!console_.out.is_terminal()) {
    console_.error.try_write(console_.error.is_terminal() ? printable(text) : text);
  } else if (console_.out.has_styles()) {
    write(reasoning_markdown_.push(text));
  } else {
    if (first) write("(thinking)\n");
    write(printable(text));
  }
}

void ChatView::end_reasoning() {
  if (!thinking_since_) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - *thinking_since_).count();
  thinking_since_.reset();
  clear_status();
  if (view_ == ReasoningView::kHide) return;
  const std::string summary =
      fmt::format("thought for {:.0f} s, {} token{}", seconds, reasoning_tokens_, reasoning_tokens_ == 1 ? "" : "s");
  if (!console_.out.is_terminal()) {
    const std::string_view before = view_ == ReasoningView::kShow ? "\n" : "";
    return console_.error.try_write(fmt::format("{}({})\n", before, summary));
  }
  if (view_ == ReasoningView::kShow) {
    if (console_.out.has_styles()) write(reasoning_markdown_.finish());
    end_line();
  }
  const std::string_view how = view_ == ReasoningView::kFold ? "; /reasoning shows it" : "";
  console_.out.write(console_.out.dim(fmt::format("({}{})", summary, how)) + "\n\n");
}

void ChatView::content(std::string_view text) {
  if (text.empty()) return;
  clear_status();
  end_reasoning();
  anything_came_ = true;
  if (console_.out.has_styles()) return write(content_markdown_.push(text));
  write(console_.out.is_terminal() ? printable(text) : std::string(text));
}

void ChatView::finish() {
  clear_status();
  end_reasoning();
  if (console_.out.has_styles()) write(content_markdown_.finish());
  end_line();
  finished_ = true;
}

void ChatView::write(const std::string& text) {
  if (text.empty()) return;
  at_line_begin_ = text.back() == '\n';
  console_.out.write(text);
}

void ChatView::end_line() {
  if (!at_line_begin_) write("\n");
}

}  // namespace megalith::cli
