#pragma once
// Counts what operator new hands out in this test program.
#include <cstdint>

namespace megalith {

struct AllocationMeter {
  static void reset();
  static uint64_t largest_bytes();  // of one allocation since reset()
  static uint64_t total_bytes();    // of all allocations since reset(), those freed again too
};

}  // namespace megalith
