#include "base/ledger.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"

namespace megalith {

std::string format_bytes(uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  auto value = static_cast<double>(bytes);
  while (value >= 1024.0 && unit + 1 < kUnits.size()) {
    value /= 1024.0;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.{}f} {}", value, value < 10 ? 2 : 1, kUnits[unit]);
}

Reservation::Reservation(Reservation&& other) noexcept
    : ledger_(std::exchange(other.ledger_, nullptr)), line_(other.line_), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    release();
    ledger_ = std::exchange(other.ledger_, nullptr);
    line_ = other.line_;
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Reservation::~Reservation() { release(); }

void Reservation::release() noexcept {
  if (ledger_ != nullptr) ledger_->release(line_, bytes_);
  ledger_ = nullptr;
  bytes_ = 0;
}

uint64_t Ledger::reserved_bytes() const {
  std::lock_guard lock(mutex_);
  return reserved_bytes_;
}

uint64_t Ledger::available_bytes() const {
  std::lock_guard lock(mutex_);
  return capacity_bytes_ - reserved_bytes_;
}

Reservation Ledger::reserve(std::string_view name, uint64_t bytes, std::string_view cure) {
  std::lock_guard lock(mutex_);
  if (bytes > capacity_bytes_ - reserved_bytes_) {
    throw Error(ErrorKind::kDoesNotFit,
                fmt::format("{} needs {}, but only {} of {} are free{}{}", name, format_bytes(bytes),
                            format_bytes(capacity_bytes_ - reserved_bytes_), format_bytes(capacity_bytes_),
                            cure.empty() ? "" : "; ", cure));
  }
  auto line = std::find_if(lines_.begin(), lines_.end(), [&](const Line& l) { return l.name == name; });
  if (line == lines_.end()) line = lines_.insert(lines_.end(), Line{std::string(name), 0});
  line->bytes += bytes;
  reserved_bytes_ += bytes;
  return Reservation(this, static_cast<size_t>(line - lines_.begin()), bytes);
}

void Ledger::release(size_t line, uint64_t bytes) noexcept {
  std::lock_guard lock(mutex_);
  lines_[line].bytes -= bytes;
  reserved_bytes_ -= bytes;
}

std::vector<Ledger::Line> Ledger::report() const {
  std::lock_guard lock(mutex_);
  std::vector<Line> lines;
  std::copy_if(lines_.begin(), lines_.end(), std::back_inserter(lines),
               [](const Line& line) { return line.bytes > 0; });
  return lines;
}

}  // namespace megalith
