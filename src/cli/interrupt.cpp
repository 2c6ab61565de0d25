#include "cli/interrupt.h"

#include <unistd.h>

#include <csignal>

#include "base/error.h"

namespace megalith::cli {

namespace {

// A signal handler has no context to be passed; this flag is the one exception to "no mutable globals".
volatile std::sig_atomic_t interrupt_count = 0;

extern "C" void on_interrupt(int /*signal*/) {
  if (interrupt_count > 0) _exit(130);
  interrupt_count = 1;
}

}  // namespace

void handle_signals() {
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART, so that a read from the terminal ends too.
  sigaction(SIGINT, &action, nullptr);
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
}

bool interrupted() { return interrupt_count > 0; }

void throw_if_interrupted() {
  if (interrupted()) throw Error(ErrorKind::kInterrupted, "interrupted");
}

}  // namespace megalith::cli
