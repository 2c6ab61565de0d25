#include "cli/markdown.h"

#include <algorithm>
#include <cctype>

#include "cli/terminal.h"

namespace megalith::cli {

namespace {

constexpr size_t kMore = std::string_view::npos;
constexpr std::string_view kQuoteBar = "\x1b[2m│\x1b[0m ";

size_t run_length(std::string_view text, char mark) { return std::min(text.find_first_not_of(mark), text.size()); }

bool is_word(char byte) { return std::isalnum(static_cast<unsigned char>(byte)) != 0; }
bool is_space(char byte) { return byte == ' ' || byte == '\t'; }

/// A line of three or more of one mark. Whether a line that goes on may become one.
bool is_rule(std::string_view rest) {
  const bool has_mark = !rest.empty() && (rest[0] == '-' || rest[0] == '*' || rest[0] == '_');
  return has_mark && rest.size() >= 3 && run_length(rest, rest[0]) == rest.size();
}

bool may_become_rule(std::string_view rest) {
  return (rest[0] == '-' || rest[0] == '*' || rest[0] == '_') && run_length(rest, rest[0]) == rest.size();
}

/// A code span at the beginning of a text, or the ticks alone if it is not closed.
struct CodeSpan {
  size_t ticks;
  size_t end;  // after the closing ticks; kMore: unless more of the line comes, nobody can tell
  bool closed;
};

CodeSpan find_code(std::string_view text, Markdown::Ended ended) {
  const bool goes_on = ended == Markdown::Ended::kNo;
  const size_t ticks = run_length(text, '`');
  for (size_t at = ticks; at < text.size();) {
    const size_t begin = text.find('`', at);
    if (begin == std::string_view::npos) break;
    const size_t run = run_length(text.substr(begin), '`');
    if (begin + run == text.size() && goes_on) break;
    if (run == ticks) return {ticks, begin + run, true};
    at = begin + run;
  }
  return {ticks, goes_on ? kMore : ticks, false};
}

/// Where the emphasis that text[0, length) opens is closed: the position of the closing mark's last `length` bytes; 0:
/// nowhere; kMore: unless more of the line comes, nobody can tell.
size_t find_closing(std::string_view text, size_t length, Markdown::Ended ended) {
  const bool goes_on = ended == Markdown::Ended::kNo;
  const char mark = text[0];
  for (size_t at = length; at < text.size();) {
    if (text[at] == '\\') {
      at += 2;
    } else if (text[at] == '`') {  // marks in code are text
      const CodeSpan code = find_code(text.substr(at), ended);
      if (code.end == kMore) return kMore;
      at += code.end;
    } else if (text[at] == mark) {
      const size_t run = run_length(text.substr(at), mark);
      if (at + run == text.size() && goes_on) return kMore;
      const bool fits = run == length || (run == 3 && length < 3);
      const char after = at + run < text.size() ? text[at + run] : ' ';
      const bool can_close = !is_space(text[at - 1]) && (mark == '*' || !is_word(after));
      if (fits && can_close && at > length) return at + run - length;
      at += run;
    } else {
      ++at;
    }
  }
  return goes_on ? kMore : 0;
}

}  // namespace

std::string Markdown::push(std::string_view text) {
  const std::string shown = printable(text);
  std::string_view rest = shown;
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    take_line_part(rest.substr(0, end));
    end_line();
  }
  take_line_part(rest);
  return wrap_.take();
}

std::string Markdown::finish() {
  if (line_ == Line::kUndecided && !pending_.empty()) decide(Ended::kYes);
  show_rest();
  wrap_.flush();
  return wrap_.take();
}

void Markdown::take_line_part(std::string_view text) {
  if (text.empty()) return;
  pending_ += text;
  if (line_ == Line::kUndecided) decide(Ended::kNo);
  if (line_ == Line::kText) {
    show_inline(Ended::kNo);
  } else if (line_ == Line::kVerbatim) {
    wrap_.put_verbatim(pending_, line_style_);
    pending_.clear();
  }
}

void Markdown::show_rest() {
  if (line_ == Line::kText) show_inline(Ended::kYes);
  if (line_ == Line::kVerbatim) wrap_.put_verbatim(pending_, line_style_);
  pending_.clear();
}

void Markdown::end_line() {
  if (line_ == Line::kUndecided) decide(Ended::kYes);
  show_rest();
  wrap_.end_line();
  line_ = Line::kUndecided;
  quotes_ = 0;
  before_ = ' ';
}

void Markdown::decide(Ended ended) {
  while (line_ == Line::kUndecided) {
    const size_t spaces = run_length(pending_, ' ');
    const std::string_view rest = std::string_view(pending_).substr(spaces);
    if (fence_mark_ != 0) {
      if (!decide_in_fence(rest, ended)) return;
      continue;
    }
    if (rest.empty()) {
      if (ended == Ended::kYes) begin_text(0, "");
      return;
    }
    if (rest[0] == '>') {
      if (rest.size() == 1 && ended == Ended::kNo) return;
      ++quotes_;
      pending_ = rest.substr(rest.size() > 1 && rest[1] == ' ' ? 2 : 1);
      continue;
    }
    if (rest[0] == '|') {  // a table
      begin_text(spaces, "");
      line_ = Line::kVerbatim;
      return;
    }
    if (rest[0] == '`' || rest[0] == '~') {
      if (!opens_fence(rest, ended)) return;
      if (line_ != Line::kUndecided) return;
    }
    if (may_become_rule(rest) && ended == Ended::kNo) return;
    if (is_rule(rest)) {
      begin_text(0, "");
      wrap_.put_verbatim("────────────────────", kDim);
      pending_.clear();
      line_ = Line::kVerbatim;
      return;
    }
    const size_t heading = heading_mark(rest, ended);
    const size_t list = heading == 0 ? list_mark(rest, ended) : 0;
    if (heading == kMore || list == kMore) return;
    const std::string mark(rest.substr(0, list));
    pending_ = rest.substr(heading + list);
    begin_text(spaces, mark);
    if (heading > 0) line_style_ |= kBold;
  }
}

bool Markdown::decide_in_fence(std::string_view rest, Ended ended) {
  const size_t marks = run_length(rest, fence_mark_);
  const bool may_close = marks == rest.size();
  if (may_close && ended == Ended::kNo) return false;
  line_ = Line::kVerbatim;
  line_style_ = base_ | kCode;
  if (may_close && marks >= fence_length_) {
    fence_mark_ = 0;
    line_style_ = kDim;
  }
  return true;
}

/// True unless more of the line is needed. A fence is shown as it is, dim, so that code can be copied with it.
bool Markdown::opens_fence(std::string_view rest, Ended ended) {
  const size_t marks = run_length(rest, rest[0]);
  const bool may_open = marks >= 3 || marks == rest.size();
  const bool is_span = rest[0] == '`' && rest.find('`', marks) != std::string_view::npos;
  if (!may_open || is_span) return true;
  if (ended == Ended::kNo) return false;
  if (marks < 3) return true;
  fence_mark_ = rest[0];
  fence_length_ = marks;
  begin_text(0, "");
  line_ = Line::kVerbatim;
  line_style_ = kDim;
  return true;
}

size_t Markdown::heading_mark(std::string_view rest, Ended ended) {
  const size_t marks = run_length(rest, '#');
  if (marks == 0 || marks > 6) return 0;
  if (marks == rest.size()) return ended == Ended::kYes ? 0 : kMore;
  return rest[marks] == ' ' ? marks + 1 : 0;
}

size_t Markdown::list_mark(std::string_view rest, Ended ended) {
  const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  const bool bullet = rest[0] == '-' || rest[0] == '*' || rest[0] == '+';
  if (!bullet && (digits == 0 || digits > 9)) return 0;
  const size_t end = bullet ? 1 : digits + 1;  // of the mark, before the space
  if (rest.size() > digits && !bullet && rest[digits] != '.' && rest[digits] != ')') return 0;
  if (rest.size() <= end) return ended == Ended::kYes ? 0 : kMore;
  return rest[end] == ' ' ? end + 1 : 0;
}

void Markdown::begin_text(size_t spaces, std::string_view mark) {
  std::string bars;
  for (int i = 0; i < quotes_; ++i) bars += kQuoteBar;
  const std::string indent(std::min<size_t>(spaces, 16), ' ');
  const bool is_bullet = !mark.empty() && (mark[0] == '-' || mark[0] == '*' || mark[0] == '+');
  const std::string shown = is_bullet ? "• " : std::string(mark);
  const std::string hanging(mark.size(), ' ');
  const int width = 2 * quotes_ + static_cast<int>(indent.size() + mark.size());
  wrap_.begin_line(bars + indent + shown, bars + indent + hanging, width);
  line_ = Line::kText;
  line_style_ = base_ | (quotes_ > 0 ? kDim : kPlain);
}

void Markdown::show_inline(Ended ended) {
  const std::string text = std::move(pending_);
  size_t shown = 0;
  while (shown < text.size()) {
    const size_t length = show_span(std::string_view(text).substr(shown), line_style_, ended);
    if (length == 0) break;
    shown += length;
    before_ = text[shown - 1];
  }
  pending_ = text.substr(shown);
}

void Markdown::show_all(std::string_view text, unsigned style) {
  while (!text.empty()) {
    const size_t length = show_span(text, style, Ended::kYes);
    before_ = text[length - 1];
    text.remove_prefix(length);
  }
}

size_t Markdown::show_span(std::string_view text, unsigned style, Ended ended) {
  // What a span may reach, whether more has come already or not.
  const std::string_view reach = text.substr(0, kLongestSpan);
  const Ended reach_ended = text.size() > kLongestSpan ? Ended::kYes : ended;
  switch (text[0]) {
    case '\\':
      if (text.size() == 1 && ended == Ended::kNo) return 0;
      // Other escapes are more often TeX than Markdown: \( and \[ stay.
      if (text.size() > 1 && std::string_view("*_`#~").find(text[1]) != std::string_view::npos) {
        wrap_.put(text.substr(1, 1), style);
        return 2;
      }
      wrap_.put("\\", style);
      return 1;
    case '`':
      return show_code(reach, style, reach_ended);
    case '*':
    case '_':
      return show_emphasis(reach, style, reach_ended);
    default: {
      const size_t length = std::min(text.find_first_of("\\`*_"), text.size());
      wrap_.put(text.substr(0, length), style);
      return length;
    }
  }
}

size_t Markdown::show_code(std::string_view text, unsigned style, Ended ended) {
  const CodeSpan code = find_code(text, ended);
  if (code.end == kMore) return 0;
  if (code.closed) {
    wrap_.put(text.substr(code.ticks, code.end - 2 * code.ticks), style | kCode);
  } else {
    wrap_.put(text.substr(0, code.end), style);
  }
  return code.end;
}

size_t Markdown::show_emphasis(std::string_view text, unsigned style, Ended ended) {
  const size_t length = run_length(text, text[0]);
  if (length == text.size() && ended == Ended::kNo) return 0;
  const char after = length < text.size() ? text[length] : ' ';
  const bool inside_word = is_word(before_) && (text[0] == '_' || (length == 1 && is_word(after)));
  const bool may_open = length <= 3 && !is_space(after) && !inside_word;
  const size_t end = may_open ? find_closing(text, length, ended) : 0;
  if (end == kMore) return 0;
  if (end == 0) {
    wrap_.put(text.substr(0, length), style);
    return length;
  }
  const unsigned added = (length >= 2 ? kBold : kPlain) | (length != 2 ? kItalic : kPlain);
  show_all(text.substr(length, end - length), style | added);
  return end + length;
}

}  // namespace megalith::cli
