#include "backends/cpu/probe.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>

namespace megalith::cpu {
namespace {

constexpr int64_t kStepBytes = 256;  // of one stream before the next one's turn
constexpr int kMostStreams = 64;

// Streams a multiple of 4 KiB apart would share cache sets: part by an odd number of steps.
int64_t stream_bytes(int64_t bytes, int n_streams) {
  const int64_t steps = bytes / n_streams / kStepBytes;
  return (steps % 2 == 0 && steps > 0 ? steps - 1 : steps) * kStepBytes;
}

// Reads `bytes` as n_streams equal parts in lockstep; the sum keeps the loads alive.
uint64_t read_streams(const std::byte* begin, int64_t bytes, int n_streams) {
  const int64_t part = stream_bytes(bytes, n_streams);
  uint64_t sum = 0;
  for (int64_t offset = 0; offset < part; offset += kStepBytes) {
    for (int stream = 0; stream < n_streams; ++stream) {
      const std::byte* at = begin + stream * part + offset;
      for (int64_t line = 0; line < kStepBytes; line += 64) {
        __builtin_prefetch(at + line + 1024, 0, 3);
        uint64_t word;  // of each line is enough: memory moves lines
        std::memcpy(&word, at + line, sizeof word);
        sum += word;
      }
    }
  }
  return sum;
}

}  // namespace

double Stopwatch::now() const {
  timespec time{};
  clock_gettime(n_threads_ == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double read_bandwidth(ThreadPool& pool, std::span<const std::byte> buffer, int n_streams) {
  n_streams = std::clamp(n_streams, 1, kMostStreams);
  const int64_t per_thread = static_cast<int64_t>(buffer.size()) / pool.size() / kStepBytes * kStepBytes;
  std::atomic<uint64_t> sink = 0;
  const Stopwatch watch(pool);
  pool.parallel_for(pool.size(), [&](int64_t item, int) {
    sink.fetch_add(read_streams(buffer.data() + item * per_thread, per_thread, n_streams), std::memory_order_relaxed);
  });
  const double seconds = watch.seconds();
  const int64_t read = stream_bytes(per_thread, n_streams) * n_streams * pool.size();
  return seconds > 0 ? static_cast<double>(read) / seconds : 0;
}

double peak_multiply_adds(ThreadPool& pool, const PeakProbe& probe, double seconds) {
  // How many iterations take that long, by doubling on one thread.
  int32_t sink = 0;
  int64_t iterations = 1000;
  for (;;) {
    const Stopwatch watch(1);
    probe.run(iterations, &sink);
    if (watch.seconds() >= seconds / 2) break;
    iterations *= 2;
  }
  std::atomic<int64_t> total = 0;
  const Stopwatch watch(pool);
  pool.parallel_for(pool.size(), [&](int64_t, int) {
    int32_t own_sink = 0;
    total.fetch_add(static_cast<int64_t>(probe.run(iterations, &own_sink)), std::memory_order_relaxed);
  });
  return static_cast<double>(total.load()) / watch.seconds();
}

}  // namespace megalith::cpu
