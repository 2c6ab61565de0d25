#include "cli/word_wrap.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/terminal.h"
#include "text/unicode.h"

namespace megalith::cli {

namespace {

constexpr std::array<std::pair<TextStyle, std::string_view>, 4> kCodes{
    {{kBold, "\x1b[1m"}, {kDim, "\x1b[2m"}, {kItalic, "\x1b[3m"}, {kCode, "\x1b[36m"}}};

// No line begins with these.
constexpr std::u32string_view kClosing = U"、。，．・：；？！）］｝」』】〉》〕ー々…”’";

}  // namespace

void WordWrap::begin_line(std::string_view first, std::string_view next, int width) {
  set_style(kPlain);
  out_ += first;
  next_ = next;
  indent_ = column_ = width;
}

void WordWrap::put(std::string_view text, unsigned style) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = decode_utf8(text, at).length_bytes;
    put_character(text.substr(at, length), style);
    at += length;
  }
}

void WordWrap::put_character(std::string_view bytes, unsigned style) {
  if (bytes == " " || bytes == "\t") {
    flush_word();
    ++spaces_;
    return;
  }
  const int width = display_width(bytes);
  const bool closes = kClosing.find(decode_utf8(bytes, 0).code_point) != std::u32string_view::npos;
  const bool is_too_wide = word_columns_ > 0 && word_columns_ + width > columns_ - indent_;
  if ((width == 2 && !closes) || is_too_wide) flush_word();
  if (word_.empty() || word_.back().style != style) word_.push_back({style, {}});
  word_.back().text += bytes;
  word_columns_ += width;
}

void WordWrap::flush_word() {
  if (word_.empty()) return;
  if (column_ > indent_ && column_ + spaces_ + word_columns_ > columns_) {
    set_style(kPlain);
    out_ += "\n" + next_;
    column_ = indent_;
  } else {
    if (word_.front().style != style_) set_style(kPlain);
    out_.append(static_cast<size_t>(spaces_), ' ');
    column_ += spaces_;
  }
  spaces_ = 0;
  for (const Run& run : word_) {
    set_style(run.style);
    out_ += run.text;
  }
  column_ += std::exchange(word_columns_, 0);
  word_.clear();
}

void WordWrap::put_verbatim(std::string_view text, unsigned style) {
  flush_word();
  set_style(style);
  out_ += text;
  column_ += display_width(text);
}

void WordWrap::end_line() {
  flush();
  out_ += '\n';
  column_ = indent_ = spaces_ = 0;
  next_.clear();
}

void WordWrap::flush() {
  flush_word();
  set_style(kPlain);
}

void WordWrap::set_style(unsigned style) {
  if (style == style_) return;
  if (style_ != kPlain) out_ += "\x1b[0m";
  for (const auto& [bit, code] : kCodes) {
    if ((style & bit) != 0) out_ += code;
  }
  style_ = style;
}

std::string WordWrap::take() { return std::exchange(out_, {}); }

}  // namespace megalith::cli
