#pragma once
// The byte ledger: every large allocation of megalith is reserved here before it is made, so that what does not fit is
// refused with the setting that would fit, and so that reports, the planner and reality share their figures.
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace megalith {

class Ledger;

/// A reserved number of bytes; given back when it dies.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();
  uint64_t bytes() const { return bytes_; }

 private:
  friend class Ledger;
  Reservation(Ledger* ledger, size_t line, uint64_t bytes) : ledger_(ledger), line_(line), bytes_(bytes) {}
  void release() noexcept;
  Ledger* ledger_ = nullptr;
  size_t line_ = 0;
  uint64_t bytes_ = 0;
};

/// Thread-safe. Must outlive its reservations.
class Ledger {
 public:
  struct Line {
    std::string name;  // "weights (mapped)", "KV pages", "activation arena", ...
    uint64_t bytes;
  };
  /// `capacity_bytes`: what may be reserved, to the last byte. The ledger keeps no margin back: whoever sizes something
  /// by available_bytes() leaves room for what is reserved after it.
  explicit Ledger(uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  uint64_t capacity_bytes() const { return capacity_bytes_; }
  uint64_t reserved_bytes() const;
  uint64_t available_bytes() const;
  /// Throws kDoesNotFit, naming `name`, the bytes wanted and those free, followed by `cure` (what the user can do).
  Reservation reserve(std::string_view name, uint64_t bytes, std::string_view cure = "");
  /// Lines in the order in which they were first reserved; lines of zero bytes are left out.
  std::vector<Line> report() const;

 private:
  friend class Reservation;
  void release(size_t line, uint64_t bytes) noexcept;
  mutable std::mutex mutex_;
  uint64_t capacity_bytes_;
  uint64_t reserved_bytes_ = 0;
  std::vector<Line> lines_;
};

/// "1.25 GiB": bytes for people.
std::string format_bytes(uint64_t bytes);

}  // namespace megalith
