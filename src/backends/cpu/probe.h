#pragma once
// The machine's own limits, measured: every figure that a bench prints stands beside one of these from the same run.
#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/kernels/linear_kernels.h"
#include "base/thread_pool.h"

namespace megalith::cpu {

/// Seconds that work on a pool took. With one thread that is its CPU time, so that a busy machine spoils less of the
/// figure; with several, the wall clock.
class Stopwatch {
 public:
  explicit Stopwatch(const ThreadPool& pool) : Stopwatch(pool.size()) {}
  explicit Stopwatch(int n_threads) : n_threads_(n_threads), start_(now()) {}
  double seconds() const { return now() - start_; }

 private:
  double now() const;
  int n_threads_;
  double start_;
};

/// Bytes per second of one pass over `buffer` by all threads of the pool. Each thread reads its part as `n_streams`
/// (1 to 64) parallel sequential streams: machines read several faster than one, and a decode kernel reads 16. The
/// buffer should be larger than the last-level cache and have been written before.
double read_bandwidth(ThreadPool& pool, std::span<const std::byte> buffer, int n_streams);

/// Multiply-adds per second of a probe that runs on all threads for about `seconds`.
double peak_multiply_adds(ThreadPool& pool, const PeakProbe& probe, double seconds);

}  // namespace megalith::cpu
