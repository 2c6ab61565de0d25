#pragma once
// Standard output and standard error: unbuffered, aware of terminals, NO_COLOR and closed pipes.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace megalith::cli {

/// Thrown by Output::write when the reader of a pipe has gone; the program then ends quietly.
struct ClosedPipe {};

class Output {
 public:
  enum class Colour { kIfTerminal, kNever };
  Output(int descriptor, Colour colour);

  bool is_terminal() const { return is_terminal_; }
  /// True for a terminal that may be sent styles.
  bool has_styles() const { return colour_; }
  /// Width of the terminal; 100 where there is none.
  int columns() const;
  /// Writes all of it now. Throws ClosedPipe, or kRuntime with the system's reason (a full disk).
  void write(std::string_view text);
  /// The same, but drops the text if it cannot be written: for diagnostics.
  void try_write(std::string_view text) noexcept;

  std::string bold(std::string_view text) const { return styled(text, "1"); }
  std::string dim(std::string_view text) const { return styled(text, "2"); }
  std::string red(std::string_view text) const { return styled(text, "31"); }

 private:
  std::string styled(std::string_view text, std::string_view code) const;
  int descriptor_;
  bool is_terminal_;
  bool colour_;
};

/// Text of a model or a file as it may be shown on a terminal: control characters (but line feed and tab), which could
/// move its cursor or do worse, and bytes that are not UTF-8 become visible escapes such as "\x1b".
std::string printable(std::string_view text);
/// The same on one line: line feeds and tabs are escaped too.
std::string printable_line(std::string_view text);

/// A table for people: columns separated by two spaces, the header bold on a terminal.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  /// Cells must hold printable text without colours.
  std::string text(const Output& out) const;
  std::string markdown() const;

 private:
  std::vector<int> widths() const;
  std::string padded(size_t column, std::string_view cell, int width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// A cell of a line of comma-separated values, in quotes where it needs them.
std::string csv_cell(std::string_view cell);

/// "label 37 %" on a terminal, rewritten in place, for work that takes more than a second. Silent elsewhere.
class Progress {
 public:
  Progress(Output& error, std::string label);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(double done_fraction);
  /// Removes the line.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  Output& error_;
  std::string label_;
  Clock::time_point start_;
  Clock::time_point last_shown_;
  bool shown_ = false;
};

/// Columns that a text takes on a terminal: one for each character, two for wide East Asian ones and emoji, none for
/// combining marks, joiners and controls.
int display_width(std::string_view text);

/// "134.5 M": a count for people.
std::string format_count(uint64_t count);

}  // namespace megalith::cli
