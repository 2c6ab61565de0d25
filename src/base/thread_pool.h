#pragma once
// A pool made once: workers spin briefly between the many short loops of a step, then sleep; idle costs nothing.
#include <cstdint>
#include <functional>
#include <memory>

namespace megalith {

/// Runs loops over independent items on a fixed number of threads (the caller is one of them). Results must not depend
/// on which thread runs an item: P3. Not reentrant; one caller at a time.
class ThreadPool {
 public:
  /// `n_threads` >= 1, the calling thread counted in.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return n_threads_; }
  /// Calls body(item, thread) for each item in [0, n_items), items handed out in order as threads become free.
  /// An exception from a body is rethrown here after all threads have stopped; later items may not have run.
  void parallel_for(int64_t n_items, const std::function<void(int64_t item, int thread)>& body);

 private:
  struct State;
  int n_threads_;
  std::unique_ptr<State> state_;
};

}  // namespace megalith
