#pragma once
// operator new of this test program, which can be told to fail.
#include <cstdint>

namespace megalith {

struct FailingAllocator {
  /// Allocations of all threads, counted from 1 since this call: the `first`-th fails, and if `last` is larger, those
  /// up to it too. 0: none fails, they are only counted.
  static void fail(uint64_t first, uint64_t last);
  static void stop();
  static uint64_t count();
  /// False where a sanitizer brings an operator new of its own.
  static bool is_in_use();
};

}  // namespace megalith
