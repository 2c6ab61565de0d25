#pragma once
// Markdown as it streams, for a terminal: styles instead of marks, lines broken at the terminal's width.
#include <string>
#include <string_view>

#include "cli/word_wrap.h"

namespace megalith::cli {

/// Shows headings, emphasis, code spans, fenced code, lists, quotes and rules; everything else, tables and links too,
/// stays as it is written. What is shown is never taken back: a mark is held back with the text after it until it is
/// closed, until its line ends, or for kLongestSpan bytes, and is text if it was not closed. Line ends of the model
/// stay line ends. Control characters come out as printable() shows them.
class Markdown {
 public:
  static constexpr size_t kLongestSpan = 200;
  enum class Ended { kNo, kYes };  // of a line: whether all of it has come

  /// `base`: added to the style of everything, kDim for reasoning.
  explicit Markdown(int columns, unsigned base = kPlain) : wrap_(columns), base_(base) {}
  void set_columns(int columns) { wrap_.set_columns(columns); }

  /// Takes whole characters; returns what may be written now.
  std::string push(std::string_view text);
  /// The rest. Afterwards the terminal's style is plain; no line end is added.
  std::string finish();

 private:
  enum class Line { kUndecided, kText, kVerbatim };

  void take_line_part(std::string_view text);
  void show_rest();
  void end_line();
  /// Finds out what the line in pending_ is; kUndecided if that needs more of it.
  void decide(Ended ended);
  bool decide_in_fence(std::string_view rest, Ended ended);
  bool opens_fence(std::string_view rest, Ended ended);
  /// The length of the mark at the beginning of `rest`; npos: more of the line is needed; 0: there is none.
  static size_t heading_mark(std::string_view rest, Ended ended);
  static size_t list_mark(std::string_view rest, Ended ended);
  void begin_text(size_t spaces, std::string_view mark);
  /// Shows as much of pending_ as can be known.
  void show_inline(Ended ended);
  /// Shows the beginning of `text`; how many bytes of it, 0 if more of the line is needed.
  size_t show_span(std::string_view text, unsigned style, Ended ended);
  size_t show_code(std::string_view text, unsigned style, Ended ended);
  size_t show_emphasis(std::string_view text, unsigned style, Ended ended);
  void show_all(std::string_view text, unsigned style);

  WordWrap wrap_;
  unsigned base_;
  Line line_ = Line::kUndecided;
  unsigned line_style_ = kPlain;
  std::string pending_;  // of the line: what is not shown yet
  int quotes_ = 0;       // marks of a quote that the line began with
  char before_ = ' ';    // the byte before pending_
  char fence_mark_ = 0;  // inside fenced code: its mark,
  size_t fence_length_ = 0;
};

}  // namespace megalith::cli
