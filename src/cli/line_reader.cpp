#include "cli/line_reader.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace megalith::cli {

namespace {

class PlainLineReader final : public LineReader {
 public:
  explicit PlainLineReader(ConversationSignals& signals) : signals_(signals) {}

  Line read(const std::string& /*prompt*/) override {
    while (true) {
      if (const size_t end = pending_.find('\n'); end != std::string::npos) return take(end, end + 1);
      if (signals_.must_end()) return {Status::kEnd, {}};
      if (at_end_) return pending_.empty() ? Line{Status::kEnd, {}} : take(pending_.size(), pending_.size());
      if (signals_.take_interrupt()) return {Status::kInterrupted, {}, pending_.empty()};
      signals_.take_redraw();
      if (signals_.wait_for(STDIN_FILENO)) read_some();
    }
  }
  void remember(const std::string& /*text*/) override {}

 private:
  void read_some() {
    std::array<char, 1 << 14> buffer;
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got > 0) pending_.append(buffer.data(), static_cast<size_t>(got));
    if (got == 0) at_end_ = true;
    if (got < 0 && errno != EINTR && errno != EAGAIN)
      throw Error(ErrorKind::kRuntime, fmt::format("cannot read standard input: {}", std::strerror(errno)));
  }
  Line take(size_t length, size_t with_end) {
    Line line{Status::kLine, pending_.substr(0, length)};
    if (line.text.ends_with('\r')) line.text.pop_back();
    pending_.erase(0, with_end);
    return line;
  }

  ConversationSignals& signals_;
  std::string pending_;
  bool at_end_ = false;
};

}  // namespace

std::unique_ptr<LineReader> make_plain_line_reader(ConversationSignals& signals) {
  return std::make_unique<PlainLineReader>(signals);
}

bool can_edit_lines() {
  return isatty(STDIN_FILENO) == 1 && (isatty(STDOUT_FILENO) == 1 || isatty(STDERR_FILENO) == 1);
}

struct EchoOff::Saved {
  termios settings{};
};

EchoOff::EchoOff() {
  termios settings{};
  if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &settings) != 0) return;
  saved_ = std::make_unique<Saved>();
  saved_->settings = settings;
  settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
}

EchoOff::~EchoOff() {
  if (saved_) tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_->settings);
}

}  // namespace megalith::cli
