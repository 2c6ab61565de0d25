#pragma once
// Styled words on the lines of a terminal, written as they come and never rewritten.
#include <string>
#include <string_view>
#include <vector>

namespace megalith::cli {

/// Attributes of text on a terminal, as bits.
enum TextStyle : unsigned { kPlain = 0, kBold = 1, kItalic = 2, kDim = 4, kCode = 8 };

/// Breaks lines between words, before wide characters (but not before punctuation that closes), and inside words that
/// are wider than a line. Widths are those of display_width(). Output is collected until take() fetches it; the word
/// that is not finished yet is held back.
class WordWrap {
 public:
  explicit WordWrap(int columns) : columns_(columns) {}
  void set_columns(int columns) { columns_ = columns; }

  /// Begins a line with `first`, already styled, `width` columns wide. Lines that are broken off go on with `next`, of
  /// the same width.
  void begin_line(std::string_view first, std::string_view next, int width);
  /// Printable text without line ends.
  void put(std::string_view text, unsigned style);
  /// Text that is neither wrapped nor held back.
  void put_verbatim(std::string_view text, unsigned style);
  void end_line();
  /// Writes the word that is held back and leaves the terminal in its plain style.
  void flush();
  std::string take();

 private:
  struct Run {
    unsigned style;
    std::string text;
  };
  void put_character(std::string_view bytes, unsigned style);
  void flush_word();
  void set_style(unsigned style);

  int columns_;
  std::string out_;
  std::string next_;  // what a broken line goes on with
  int indent_ = 0;    // its columns
  int column_ = 0;    // where the cursor is
  int spaces_ = 0;    // between the cursor and the word
  std::vector<Run> word_;
  int word_columns_ = 0;
  unsigned style_ = kPlain;  // the terminal's
};

}  // namespace megalith::cli
