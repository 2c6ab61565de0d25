#pragma once
// Ctrl-C: the first asks the running command to end within a moment (exit 130), the second ends the process at once.
namespace megalith::cli {

/// Installs the handler of SIGINT, and ignores SIGPIPE so that a closed pipe becomes an error of write().
void handle_signals();
/// True once Ctrl-C was pressed.
bool interrupted();
/// Throws kInterrupted if it was.
void throw_if_interrupted();

}  // namespace megalith::cli
