#include "files/allocation_meter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<uint64_t> largest{0};
std::atomic<uint64_t> total{0};
}  // namespace

// Weak: the thread sanitizer brings its own, and then nothing is counted.
[[gnu::weak]] void* operator new(size_t size_bytes) {
  total += size_bytes;
  uint64_t seen = largest.load();
  while (seen < size_bytes && !largest.compare_exchange_weak(seen, size_bytes)) {
  }
  if (void* memory = std::malloc(size_bytes == 0 ? 1 : size_bytes)) return memory;
  throw std::bad_alloc();
}

[[gnu::weak]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::weak]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace megalith {

void AllocationMeter::reset() {
  largest = 0;
  total = 0;
}
uint64_t AllocationMeter::largest_bytes() { return largest; }
uint64_t AllocationMeter::total_bytes() { return total; }

}  // namespace megalith
