#pragma once
// Lines for a conversation: edited on a terminal, or as a pipe or file gives them.
#include <memory>
#include <string>
#include <vector>

#include "cli/interrupt.h"

namespace megalith::cli {

class LineReader {
 public:
  enum class Status {
    kLine,
    kInterrupted,  // Ctrl-C
    kEnd,          // no more lines; or must_end() of the signals
  };
  struct Line {
    Status status;
    std::string text;        // without its end; pasted text may hold line ends
    bool was_empty = false;  // kInterrupted: nothing had been typed
  };
  virtual ~LineReader() = default;
  /// `prompt`: what stands before the line, where somebody types it; styles between \1 and \1.
  virtual Line read(const std::string& prompt) = 0;
  /// Adds what the user can get back with the arrow keys.
  virtual void remember(const std::string& text) = 0;
};

struct LineEditorOptions {
  enum class Paste { kPlain, kBracketed };  // bracketed: the terminal marks pasted text, which may then hold line ends
  Paste paste = Paste::kBracketed;
  std::vector<std::string> history;      // oldest first
  std::vector<std::string> completions;  // words that the tabulator completes at the beginning of a line
};

/// Whether standard input, and standard output or standard error, are a terminal, so that lines can be edited.
bool can_edit_lines();
/// Edits lines with libedit. Sets the program's locale for characters. Throws kRuntime if the terminal cannot be used.
std::unique_ptr<LineReader> make_line_editor(ConversationSignals& signals, const LineEditorOptions& options);
/// Reads standard input as it comes.
std::unique_ptr<LineReader> make_plain_line_reader(ConversationSignals& signals);

/// While it lives, the terminal does not show what is typed: it would stand in the middle of an answer.
class EchoOff {
 public:
  EchoOff();
  ~EchoOff();
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

}  // namespace megalith::cli
