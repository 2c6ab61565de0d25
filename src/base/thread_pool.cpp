#include "base/thread_pool.h"

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace megalith {

namespace {

// The loops of one decode step follow each other within some ten microseconds; waking a sleeper costs about as much.
constexpr auto kSpinTime = std::chrono::microseconds(50);

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// Spins until `done()` or until `spin_time` has passed.
template <typename Done>
bool spin_until(std::chrono::microseconds spin_time, const Done& done) {
  if (done()) return true;
  if (spin_time.count() == 0) return false;
  const auto deadline = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      pause_briefly();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

// The gate is one word, so that it can be opened, entered and closed atomically and slept on:
// bit 0: open; bits 1-12: workers that entered this loop; bits 13-31: number of the loop.
// A worker that wakes too late finds the gate closed and sleeps on: the caller waits only for those that entered.
constexpr uint32_t kOpen = 1;
constexpr uint32_t kOneEntered = 2;
constexpr uint32_t kEnteredMask = 0x1ffe;
constexpr uint32_t kLoopUnit = 0x2000;
constexpr int kMaxThreads = 4096;

uint32_t loop_number(uint32_t gate) { return gate / kLoopUnit; }
uint32_t entered(uint32_t gate) { return (gate & kEnteredMask) / kOneEntered; }
bool is_open(uint32_t gate) { return (gate & kOpen) != 0; }

}  // namespace

struct ThreadPool::State {
  alignas(64) std::atomic<uint32_t> gate{0};
  alignas(64) std::atomic<int64_t> next_item{0};
  alignas(64) std::atomic<uint32_t> left{0};  // workers that finished this loop
  std::atomic<bool> stopping{false};
  std::atomic<bool> busy{false};
  // Written by the caller while the gate is closed, read by workers that passed it.
  int64_t n_items = 0;
  const std::function<void(int64_t, int)>* body = nullptr;
  std::mutex error_mutex;
  std::exception_ptr error;
  std::chrono::microseconds spin_time{0};
  std::vector<std::thread> workers;

  void run_items(int thread) noexcept {
    try {
      for (int64_t item; (item = next_item.fetch_add(1, std::memory_order_relaxed)) < n_items;) (*body)(item, thread);
    } catch (...) {
      next_item.store(n_items, std::memory_order_relaxed);
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
    }
  }

  void work(int thread) {
    uint32_t last_loop = 0;  // the first loop has number 1
    const auto has_news = [&](uint32_t value) { return is_open(value) && loop_number(value) != last_loop; };
    while (true) {
      uint32_t value = gate.load(std::memory_order_acquire);
      if (stopping.load(std::memory_order_acquire)) return;
      if (has_news(value)) {
        // Acquire pairs with the caller's opening store, whichever workers entered in between.
        if (gate.compare_exchange_weak(value, value + kOneEntered, std::memory_order_acq_rel)) {
          last_loop = loop_number(value);
          run_items(thread);
          left.fetch_add(1, std::memory_order_seq_cst);
          left.notify_one();
        }
        continue;
      }
      const bool woken = spin_until(spin_time, [&] {
        value = gate.load(std::memory_order_acquire);
        return has_news(value) || stopping.load(std::memory_order_relaxed);
      });
      if (!woken) gate.wait(value, std::memory_order_acquire);
    }
  }

  void stop() {
    stopping.store(true, std::memory_order_seq_cst);
    // A changed gate: a worker about to sleep on the old value does not.
    gate.fetch_add(kLoopUnit, std::memory_order_seq_cst);
    gate.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  /// Opens the gate, takes part, closes it and waits for the workers that came.
  void run_loop() {
    next_item.store(0, std::memory_order_relaxed);
    left.store(0, std::memory_order_relaxed);
    const uint32_t closed = gate.load(std::memory_order_relaxed);
    // Sequentially consistent, so that the sleepers counted by notify_all are not read before the gate is open.
    gate.store(((closed & ~kEnteredMask) + kLoopUnit) | kOpen, std::memory_order_seq_cst);
    gate.notify_all();
    run_items(0);
    const uint32_t n_entered = entered(gate.fetch_and(~kOpen, std::memory_order_acq_rel));
    const bool all_left = spin_until(spin_time, [&] { return left.load(std::memory_order_acquire) == n_entered; });
    if (all_left) return;
    for (uint32_t n; (n = left.load(std::memory_order_acquire)) != n_entered;) left.wait(n, std::memory_order_acquire);
  }
};

ThreadPool::ThreadPool(int n_threads) : n_threads_(n_threads), state_(std::make_unique<State>()) {
  if (n_threads < 1 || n_threads > kMaxThreads) {
    throw Error(ErrorKind::kUsage, fmt::format("{} threads: the number must be from 1 to {}", n_threads, kMaxThreads));
  }
  // With more threads than cores a spinning thread only keeps a working one from its core.
  const bool oversubscribed = static_cast<unsigned>(n_threads) > std::thread::hardware_concurrency();
  if (!oversubscribed) state_->spin_time = kSpinTime;
  try {
    for (int thread = 1; thread < n_threads; ++thread) {
      state_->workers.emplace_back([state = state_.get(), thread] { state->work(thread); });
    }
  } catch (const std::system_error& error) {
    const size_t n_started = state_->workers.size() + 1;
    state_->stop();
    throw Error(ErrorKind::kDoesNotFit,
                fmt::format("cannot start more than {} of {} threads: no memory for them, or no more are allowed ({}); "
                            "use fewer with -t",
                            n_started, n_threads, error.what()));
  } catch (...) {
    state_->stop();  // memory ran out: those that run must not outlive their state
    throw;
  }
}

ThreadPool::~ThreadPool() { state_->stop(); }

void ThreadPool::parallel_for(int64_t n_items, const std::function<void(int64_t item, int thread)>& body) {
  if (n_threads_ == 1 || n_items <= 1) {
    for (int64_t item = 0; item < n_items; ++item) body(item, 0);
    return;
  }
  if (state_->busy.exchange(true, std::memory_order_acquire)) {
    throw Error(ErrorKind::kRuntime, "internal error: ThreadPool::parallel_for was entered twice at once");
  }
  state_->n_items = n_items;
  state_->body = &body;
  state_->run_loop();
  std::exception_ptr error;
  {
    const std::lock_guard lock(state_->error_mutex);
    error.swap(state_->error);
  }
  state_->busy.store(false, std::memory_order_release);
  if (error) std::rethrow_exception(error);
}

}  // namespace megalith
