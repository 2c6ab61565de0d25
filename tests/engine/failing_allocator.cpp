#include "engine/failing_allocator.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace {

std::atomic<bool> counts{false};
std::atomic<uint64_t> made{0};
std::atomic<uint64_t> first_failing{0};
std::atomic<uint64_t> last_failing{0};

void* allocate(size_t size_bytes, size_t alignment_bytes) {
  if (counts) {
    const uint64_t number = ++made;
    if (number >= first_failing && number <= last_failing) throw std::bad_alloc();
  }
  const size_t rounded = (size_bytes + alignment_bytes) / alignment_bytes * alignment_bytes;  // never 0
  void* memory = alignment_bytes <= alignof(std::max_align_t) ? std::malloc(rounded)
                                                              : std::aligned_alloc(alignment_bytes, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// MEGALITH_TEST_WEAK: under the thread sanitizer, which may bring its own; then nothing fails. The forms for arrays
// call these.
MEGALITH_TEST_WEAK void* operator new(size_t size_bytes) { return allocate(size_bytes, alignof(std::max_align_t)); }
MEGALITH_TEST_WEAK void* operator new(size_t size_bytes, std::align_val_t alignment) {
  return allocate(size_bytes, static_cast<size_t>(alignment));
}
MEGALITH_TEST_WEAK void operator delete(void* memory) noexcept { std::free(memory); }
MEGALITH_TEST_WEAK void operator delete(void* memory, size_t) noexcept { std::free(memory); }
MEGALITH_TEST_WEAK void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
MEGALITH_TEST_WEAK void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace megalith {

void FailingAllocator::fail(uint64_t first, uint64_t last) {
  made = 0;
  first_failing = first == 0 ? UINT64_MAX : first;
  last_failing = last;
  counts = true;
}
void FailingAllocator::stop() { counts = false; }
uint64_t FailingAllocator::count() { return made; }
bool FailingAllocator::is_in_use() {
  fail(0, 0);
  const auto probe = std::make_unique<int>(7);
  stop();
  return *probe == 7 && made > 0;
}

}  // namespace megalith
