#pragma once
// What a step costs: bytes moved and multiply-adds done, per op. Feeds `bench --profile`, the scheduler and the
// planner.
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace megalith {

/// Work of one op, independent of how it is done.
struct Cost {
  uint64_t weight_bytes = 0;   // read from the model file's mapping
  uint64_t state_bytes = 0;    // KV or recurrent state, read and written
  uint64_t multiply_adds = 0;  // of the matmul-like part
};

class CostMeter {
 public:
  struct Line {
    std::string_view op;  // static string: "linear", "attention", ...
    uint64_t calls = 0;
    Cost cost;
    double seconds = 0;
  };
  void add(std::string_view op, const Cost& cost, double seconds);
  void add(const CostMeter& other);
  const std::vector<Line>& lines() const { return lines_; }
  Cost total() const;
  double total_seconds() const;
  void clear() { lines_.clear(); }

 private:
  Line& line_of(std::string_view op);
  std::vector<Line> lines_;
};

/// Adds the time from construction to destruction to a meter; a null meter costs nothing.
class MeteredScope {
 public:
  MeteredScope(CostMeter* meter, std::string_view op, const Cost& cost)
      : meter_(meter), op_(op), cost_(cost), start_(meter ? Clock::now() : Clock::time_point{}) {}
  ~MeteredScope() {
    if (meter_) meter_->add(op_, cost_, std::chrono::duration<double>(Clock::now() - start_).count());
  }
  MeteredScope(const MeteredScope&) = delete;
  MeteredScope& operator=(const MeteredScope&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  CostMeter* meter_;
  std::string_view op_;
  Cost cost_;
  Clock::time_point start_;
};

}  // namespace megalith
