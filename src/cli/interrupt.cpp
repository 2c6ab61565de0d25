#include "cli/interrupt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"

namespace megalith::cli {

namespace {

constexpr int kMostUnheardInterrupts = 5;

// A signal handler has no context to be passed; these are the one exception to "no mutable globals".
volatile std::sig_atomic_t interrupt_count = 0;
volatile std::sig_atomic_t end_requested = 0;
volatile std::sig_atomic_t redraw_requested = 0;
volatile std::sig_atomic_t wake_descriptor = -1;

extern "C" void on_interrupt(int /*signal*/) {
  if (interrupt_count > 0) _exit(130);
  interrupt_count = 1;
}

extern "C" void on_conversation_signal(int signal) {
  const int saved_errno = errno;
  if (signal == SIGINT) {
    interrupt_count = interrupt_count + 1;
    if (interrupt_count >= kMostUnheardInterrupts) _exit(130);
  } else if (signal == SIGTERM || signal == SIGHUP) {
    end_requested = 1;
  } else {
    redraw_requested = 1;
  }
  const char byte = 0;
  // A full pipe wakes the reader as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_descriptor, &byte, 1);
  errno = saved_errno;
}

constexpr std::array kConversationSignals{SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT};

void install(int signal, void (*handler)(int), struct sigaction* before) {
  struct sigaction action{};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART, so that a read from the terminal ends too.
  sigaction(signal, &action, before);
}

}  // namespace

void handle_signals() {
  install(SIGINT, on_interrupt, nullptr);
  install(SIGPIPE, SIG_IGN, nullptr);
}

bool interrupted() { return interrupt_count > 0; }

void throw_if_interrupted() {
  if (interrupted()) throw Error(ErrorKind::kInterrupted, "interrupted");
}

struct ConversationSignals::Saved {
  std::array<int, 2> pipe{-1, -1};  // a signal between a look and a wait must still end the wait
  std::array<struct sigaction, kConversationSignals.size()> actions{};
};

ConversationSignals::ConversationSignals() : saved_(std::make_unique<Saved>()) {
  if (::pipe(saved_->pipe.data()) != 0)
    throw Error(ErrorKind::kRuntime, fmt::format("cannot make a pipe for signals: {}", std::strerror(errno)));
  for (const int end : saved_->pipe) {
    fcntl(end, F_SETFL, O_NONBLOCK);
    fcntl(end, F_SETFD, FD_CLOEXEC);
  }
  wake_descriptor = saved_->pipe[1];
  for (size_t i = 0; i < kConversationSignals.size(); ++i)
    install(kConversationSignals[i], on_conversation_signal, &saved_->actions[i]);
}

ConversationSignals::~ConversationSignals() {
  for (size_t i = 0; i < kConversationSignals.size(); ++i)
    sigaction(kConversationSignals[i], &saved_->actions[i], nullptr);
  wake_descriptor = -1;
  for (const int end : saved_->pipe) ::close(end);
}

bool ConversationSignals::take_interrupt() {
  const bool was = interrupt_count > 0;
  interrupt_count = 0;
  return was;
}

bool ConversationSignals::must_end() const { return end_requested != 0; }

bool ConversationSignals::take_redraw() {
  const bool was = redraw_requested != 0;
  redraw_requested = 0;
  return was;
}

bool ConversationSignals::wait_for(int descriptor) {
  std::array<pollfd, 2> polled{{{descriptor, POLLIN, 0}, {saved_->pipe[0], POLLIN, 0}}};
  if (interrupted() || must_end() || redraw_requested != 0) return false;
  if (::poll(polled.data(), polled.size(), -1) < 0) return false;
  std::array<char, 64> drained;
  while (::read(saved_->pipe[0], drained.data(), drained.size()) > 0) {
  }
  return !interrupted() && polled[0].revents != 0;
}

}  // namespace megalith::cli
