#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "text/unicode.h"

namespace megalith::cli {

namespace {

constexpr auto kQuietFor = std::chrono::seconds(1);
constexpr auto kShowEvery = std::chrono::milliseconds(100);

enum class Controls { kKeepLines, kEscapeAll };

std::string escape_controls(std::string_view text, Controls controls) {
  std::string shown;
  shown.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    const std::string_view bytes = text.substr(at, step.length_bytes);
    const char32_t character = step.code_point;
    at += bytes.size();
    const bool is_line_space = character == U'\n' || character == U'\t';
    if (is_line_space && controls == Controls::kEscapeAll) {
      shown += character == U'\n' ? "\\n" : "\\t";
    } else if (step.kind != Utf8Step::Kind::kCharacter || (character < 0x20 && !is_line_space) ||
               (character >= 0x7F && character <= 0x9F)) {
      for (const char byte : bytes) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    } else {
      shown += bytes;
    }
  }
  return shown;
}

}  // namespace

Output::Output(int descriptor, Colour colour)
    : descriptor_(descriptor),
      is_terminal_(isatty(descriptor) == 1),
      colour_(is_terminal_ && colour == Colour::kIfTerminal) {}

int Output::columns() const {
  winsize size{};
  if (is_terminal_ && ioctl(descriptor_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 100;
}

void Output::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE) {
      throw ClosedPipe{};
    } else if (errno != EINTR) {
      throw Error(ErrorKind::kRuntime, fmt::format("cannot write the output: {}", std::strerror(errno)));
    }
  }
}

void Output::try_write(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      return;
    }
  }
}

std::string Output::styled(std::string_view text, std::string_view code) const {
  return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string printable(std::string_view text) { return escape_controls(text, Controls::kKeepLines); }
std::string printable_line(std::string_view text) { return escape_controls(text, Controls::kEscapeAll); }

int display_width(std::string_view text) {
  int width = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    width += utf8proc_charwidth(static_cast<utf8proc_int32_t>(step.code_point));
    at += step.length_bytes;
  }
  return width;
}

std::vector<int> Table::widths() const {
  std::vector<int> widths;
  for (size_t column = 0; column < columns_.size(); ++column) {
    int width = display_width(columns_[column].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[column]));
    widths.push_back(width);
  }
  return widths;
}

std::string Table::padded(size_t column, std::string_view cell, int width) const {
  const std::string padding(static_cast<size_t>(std::max(0, width - display_width(cell))), ' ');
  return columns_[column].align == Align::kRight ? padding + std::string(cell) : std::string(cell) + padding;
}

std::string Table::text(const Output& out) const {
  const std::vector<int> all_widths = widths();
  const auto line = [&](const auto& cell_of) {
    std::string joined;
    for (size_t column = 0; column < columns_.size(); ++column) {
      if (column > 0) joined += "  ";
      joined += padded(column, cell_of(column), all_widths[column]);
    }
    joined.erase(joined.find_last_not_of(' ') + 1);
    return joined;
  };
  std::string all = out.bold(line([&](size_t column) { return std::string_view(columns_[column].title); })) + "\n";
  for (const auto& row : rows_) all += line([&](size_t column) { return std::string_view(row[column]); }) + "\n";
  return all;
}

std::string Table::markdown() const {
  const std::vector<int> all_widths = widths();
  std::string all = "|";
  for (size_t column = 0; column < columns_.size(); ++column)
    all += fmt::format(" {} |", padded(column, columns_[column].title, all_widths[column]));
  all += "\n|";
  for (size_t column = 0; column < columns_.size(); ++column) {
    const std::string dashes(static_cast<size_t>(std::max(3, all_widths[column]) - 1), '-');
    all += fmt::format(" {}{} |", dashes, columns_[column].align == Align::kRight ? ':' : '-');
  }
  all += "\n";
  for (const auto& row : rows_) {
    all += "|";
    for (size_t column = 0; column < row.size(); ++column) {
      std::string cell;
      for (const char c : padded(column, row[column], all_widths[column])) {
        if (c == '|') cell += '\\';
        cell += c;
      }
      all += fmt::format(" {} |", cell);
    }
    all += "\n";
  }
  return all;
}

std::string csv_cell(std::string_view cell) {
  if (cell.find_first_of(",\"\n") == std::string_view::npos) return std::string(cell);
  std::string quoted = "\"";
  for (const char c : cell) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  quoted += '"';
  return quoted;
}

Progress::Progress(Output& error, std::string label)
    : error_(error), label_(std::move(label)), start_(Clock::now()), last_shown_(start_) {}

Progress::~Progress() { clear(); }

void Progress::update(double done_fraction) {
  const auto now = Clock::now();
  if (!error_.is_terminal() || now - start_ < kQuietFor || now - last_shown_ < kShowEvery) return;
  last_shown_ = now;
  shown_ = true;
  error_.try_write(fmt::format("\r\x1b[K{} {:.0f} %", label_, 100 * std::clamp(done_fraction, 0.0, 1.0)));
}

void Progress::clear() {
  if (shown_) error_.try_write("\r\x1b[K");
  shown_ = false;
}

std::string format_count(uint64_t count) {
  const double value = static_cast<double>(count);
  if (value >= 1e12) return fmt::format("{:.2f} T", value / 1e12);
  if (value >= 1e9) return fmt::format("{:.2f} B", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.1f} K", value / 1e3);
  return fmt::format("{}", count);
}

}  // namespace megalith::cli
