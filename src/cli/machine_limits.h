#pragma once
// What this machine can do at most, measured: the figures that speeds are set beside.
#include <functional>
#include <string>

#include "base/machine.h"

namespace megalith::cli {

struct MachineLimits {
  double read_bytes_per_second_1 = 0;   // one stream for each thread
  double read_bytes_per_second_16 = 0;  // sixteen, as decoding reads
  double multiply_adds_per_second = 0;  // of 8-bit integers, all threads together
  /// The larger of the two read bandwidths.
  double read_bytes_per_second() const;
};

/// Takes about a second. `check_interrupt` is called between the parts and may throw.
MachineLimits measure_limits(InstructionSet set, int threads, const std::function<void()>& check_interrupt);

}  // namespace megalith::cli
