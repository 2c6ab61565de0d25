#pragma once
// Ctrl-C: the first asks the running command to end within a moment (exit 130), the second ends the process at once.
// A conversation takes signals otherwise: see ConversationSignals.
#include <memory>

namespace megalith::cli {

/// Installs the handler of SIGINT, and ignores SIGPIPE so that a closed pipe becomes an error of write().
void handle_signals();
/// True once Ctrl-C was pressed.
bool interrupted();
/// Throws kInterrupted if it was.
void throw_if_interrupted();

/// While it lives, Ctrl-C ends nothing by itself: whoever acts on it calls take_interrupt(). (Pressed five times
/// without that, it ends the process: something hangs.) SIGTERM and SIGHUP ask to end. One at a time.
class ConversationSignals {
 public:
  ConversationSignals();
  ~ConversationSignals();
  ConversationSignals(const ConversationSignals&) = delete;
  ConversationSignals& operator=(const ConversationSignals&) = delete;

  /// True if Ctrl-C was pressed since the last call.
  bool take_interrupt();
  /// True once SIGTERM or SIGHUP has come.
  bool must_end() const;
  /// True if the terminal's size changed, or the process was stopped and goes on, since the last call.
  bool take_redraw();
  /// Waits until `descriptor` can be read or a signal has come; true if it can be read.
  bool wait_for(int descriptor);

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

}  // namespace megalith::cli
