#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "base/error.h"

namespace megalith {

namespace {

/// One mapping as the signal handler sees it. A slot is free while `end` is 0; `begin` is written before `end`.
struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> damaged{false};
};

constexpr size_t kMaxMappings = 4096;

/// Process-wide, because a signal handler can reach nothing else: lock-free atomics only, no allocation.
struct Registry {
  std::array<Slot, kMaxMappings> slots;
  std::atomic<size_t> used_slots{0};  // slots at and above this one were never taken
  struct sigaction previous = {};
  uintptr_t page_bytes = 4096;
  std::once_flag installed;
};

constinit Registry registry;

static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

/// Inside a signal handler, so the system is called without anyone in between: a thread sanitizer would take mmap for a
/// write to all those pages, which races with whoever reads there.
bool map_zeros(uintptr_t begin, size_t bytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
#ifdef __linux__
  return syscall(SYS_mmap, begin, bytes, PROT_READ, kFlags, -1, 0) == static_cast<long>(begin);
#else
  return mmap(reinterpret_cast<void*>(begin), bytes, PROT_READ, kFlags, -1, 0) != MAP_FAILED;
#endif
}

/// Puts zero pages over the lost part of a mapping; false if `address` lies in none.
bool heal(uintptr_t address) {
  const size_t n_slots = registry.used_slots.load(std::memory_order_acquire);
  for (size_t i = 0; i < n_slots; ++i) {
    Slot& slot = registry.slots[i];
    const uintptr_t end = slot.end.load(std::memory_order_acquire);
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (address < begin || address >= end) continue;
    // Marked before the zeros appear, so that no reader can see zeros and damaged() == false.
    slot.damaged.store(true, std::memory_order_seq_cst);
    // A truncated file has lost everything from here to its end: one mapping instead of a fault per page.
    const uintptr_t page = address / registry.page_bytes * registry.page_bytes;
    return map_zeros(page, end - page);
  }
  return false;
}

void call_previous_handler(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = registry.previous;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_IGN && info->si_code <= 0) {
    return;  // sent by kill() and ignored before us
  } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    // Returning from here repeats the faulting access, now under the default action. A sent signal has none to repeat.
    sigaction(signal, &previous, nullptr);
    if (info->si_code <= 0) raise(signal);
  } else {
    previous.sa_handler(signal);
  }
}

void handle_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool is_fault = info->si_code > 0;  // raised by the kernel: si_addr means something
  if (!is_fault || !heal(reinterpret_cast<uintptr_t>(info->si_addr))) call_previous_handler(signal, info, context);
  errno = saved_errno;
}

void install_handler() {
  registry.page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  sigaction(SIGBUS, nullptr, &registry.previous);  // known before ours can be called
  struct sigaction ours = {};
  ours.sa_sigaction = handle_bus_error;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  sigaction(SIGBUS, &ours, nullptr);
}

int register_mapping(const void* data, size_t size_bytes) {
  std::call_once(registry.installed, install_handler);
  const uintptr_t page = registry.page_bytes;
  for (size_t i = 0; i < kMaxMappings; ++i) {
    Slot& slot = registry.slots[i];
    if (slot.taken.exchange(true, std::memory_order_acq_rel)) continue;
    size_t used = registry.used_slots.load(std::memory_order_relaxed);
    while (used <= i && !registry.used_slots.compare_exchange_weak(used, i + 1, std::memory_order_acq_rel)) {
    }
    slot.damaged.store(false, std::memory_order_relaxed);
    slot.begin.store(reinterpret_cast<uintptr_t>(data), std::memory_order_release);
    slot.end.store(reinterpret_cast<uintptr_t>(data) + (size_bytes + page - 1) / page * page,
                   std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;
}

void unregister_mapping(int index) {
  Slot& slot = registry.slots[static_cast<size_t>(index)];
  slot.end.store(0, std::memory_order_release);
  slot.taken.store(false, std::memory_order_release);
}

}  // namespace

MappedFile::FileDescriptor::~FileDescriptor() {
  if (value_ >= 0) close(value_);
}

MappedFile::MappedFile(const std::string& path)
    // O_NONBLOCK: a named pipe must be refused, not waited for.
    : path_(path), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (file_.value() < 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    throw Error(missing ? ErrorKind::kModelNotFound : ErrorKind::kInvalidModel,
                fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  }
  struct stat status = {};
  if (fstat(file_.value(), &status) != 0) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  if (S_ISDIR(status.st_mode)) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{} is a directory, not a file", path));
  }
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{} is not a regular file", path));
  }
  if (status.st_size == 0) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("{} is empty (0 bytes); fetch it again", path));
  }
  size_bytes_ = static_cast<size_t>(status.st_size);
  void* data = mmap(nullptr, size_bytes_, PROT_READ, MAP_PRIVATE, file_.value(), 0);
  if (data == MAP_FAILED && errno == ENOMEM) {
    throw Error(ErrorKind::kDoesNotFit,
                fmt::format("{} ({} bytes) does not fit into the address space that this process may use; raise the "
                            "limit (ulimit -v) or take a smaller model",
                            path, size_bytes_));
  }
  if (data == MAP_FAILED) {
    throw Error(ErrorKind::kInvalidModel, fmt::format("cannot map {}: {}", path, std::strerror(errno)));
  }
  data_ = static_cast<const std::byte*>(data);
  registry_slot_ = register_mapping(data, size_bytes_);
  if (registry_slot_ < 0) {
    munmap(data, size_bytes_);
    throw Error(ErrorKind::kRuntime, fmt::format("cannot map {}: more than {} files are mapped", path, kMaxMappings));
  }
}

MappedFile::~MappedFile() {
  unregister_mapping(registry_slot_);
  munmap(const_cast<std::byte*>(data_), size_bytes_);
}

std::span<const std::byte> MappedFile::bytes() const { return {data_, size_bytes_}; }

bool MappedFile::damaged() const {
  std::atomic<bool>& damaged = registry.slots[static_cast<size_t>(registry_slot_)].damaged;
  struct stat status = {};
  if (fstat(file_.value(), &status) != 0 || static_cast<uint64_t>(status.st_size) < size_bytes_) {
    // Kept: zeros may have been read, even if the file should grow again.
    damaged.store(true, std::memory_order_seq_cst);
  }
  return damaged.load(std::memory_order_seq_cst);
}

}  // namespace megalith
