#pragma once
// What this machine can do at most, measured: the figures that speeds are set beside.
#include <functional>
#include <string>
#include <vector>

#include "base/machine.h"
#include "formats/format_table.h"

namespace megalith::cli {

struct MachineLimits {
  struct Peak {
    std::string kind;  // of weights: "4-bit codes", ..., "float"
    double multiply_adds_per_second = 0;
  };
  double read_bytes_per_second_1 = 0;   // each thread reads one stream
  double read_bytes_per_second_16 = 0;  // each thread reads sixteen, as decoding does
  std::vector<Peak> peaks;              // all threads together

  /// The larger of the two.
  double read_bytes_per_second() const;
  /// Of the instructions that weights of this format need.
  double multiply_adds_per_second(Format format) const;
};

struct LimitsRequest {
  const InstructionSet* instruction_set = nullptr;  // null: the best
  int threads = 1;
  std::function<void(double done_fraction)> progress;  // may be empty
  std::function<void()> check_interrupt;               // throws to end it; may be empty
};

/// Takes about a second and, meanwhile, up to 256 MiB.
MachineLimits measure_limits(const Machine& machine, const LimitsRequest& request);

}  // namespace megalith::cli
