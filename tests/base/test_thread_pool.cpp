#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/expect_error.h"
#include "base/thread_pool.h"

namespace megalith {
namespace {

class EveryPoolSize : public testing::TestWithParam<int> {};

TEST_P(EveryPoolSize, RunsEachItemOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (const int64_t n : {0, 1, 2, 3, 7, 100, 10000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(n));
    pool.parallel_for(n, [&](int64_t item, int thread) {
      ASSERT_GE(thread, 0);
      ASSERT_LT(thread, pool.size());
      runs[static_cast<size_t>(item)].fetch_add(1, std::memory_order_relaxed);
    });
    EXPECT_TRUE(std::all_of(runs.begin(), runs.end(), [](const auto& count) { return count == 1; })) << n;
  }
}

TEST_P(EveryPoolSize, LoopsSeeWhatEarlierLoopsWrote) {
  // Plain memory, written by any thread in one loop and read by any in the next: the thread sanitizer watches too.
  ThreadPool pool(GetParam());
  constexpr size_t kItems = 64;
  std::vector<int64_t> values(kItems, 1);
  for (int loop = 0; loop < 3000; ++loop) {
    std::vector<int64_t> next(kItems);
    pool.parallel_for(kItems, [&](int64_t item, int) {
      const auto i = static_cast<size_t>(item);
      next[i] = values[i] + values[(i + 1) % kItems] % 3;
    });
    values.swap(next);
  }
  std::vector<int64_t> expected(kItems, 1);
  for (int loop = 0; loop < 3000; ++loop) {
    std::vector<int64_t> next(kItems);
    for (size_t i = 0; i < kItems; ++i) next[i] = expected[i] + expected[(i + 1) % kItems] % 3;
    expected.swap(next);
  }
  EXPECT_EQ(values, expected);
}

TEST_P(EveryPoolSize, WorkersThatSleptComeBack) {
  ThreadPool pool(GetParam());
  std::atomic<int> runs{0};
  for (int loop = 0; loop < 30; ++loop) {
    // Some pauses shorter, some longer than the spinning.
    std::this_thread::sleep_for(std::chrono::microseconds(loop % 3 * 150));
    pool.parallel_for(20, [&](int64_t, int) { runs.fetch_add(1, std::memory_order_relaxed); });
  }
  EXPECT_EQ(runs, 600);
}

TEST_P(EveryPoolSize, RethrowsAndGoesOn) {
  ThreadPool pool(GetParam());
  for (int loop = 0; loop < 200; ++loop) {
    std::atomic<int> inside{0};
    try {
      pool.parallel_for(50, [&](int64_t item, int) {
        inside.fetch_add(1);
        if (item == loop % 50) {
          inside.fetch_sub(1);
          throw std::runtime_error("item " + std::to_string(item));
        }
        inside.fetch_sub(1);
      });
      FAIL() << "nothing thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), "item " + std::to_string(loop % 50));
    }
    EXPECT_EQ(inside, 0) << "a thread was still at work";
    std::atomic<int> runs{0};
    pool.parallel_for(50, [&](int64_t, int) { ++runs; });
    EXPECT_EQ(runs, 50);
  }
}

TEST_P(EveryPoolSize, RethrowsOneOfMany) {
  ThreadPool pool(GetParam());
  EXPECT_THROW(pool.parallel_for(1000, [](int64_t, int) { throw std::logic_error("all of them"); }), std::logic_error);
}

TEST_P(EveryPoolSize, ComesAndGoes) {
  for (int i = 0; i < 100; ++i) {
    ThreadPool pool(GetParam());
    if (i % 2 == 0) {
      std::atomic<int> runs{0};
      pool.parallel_for(5, [&](int64_t, int) { ++runs; });
      EXPECT_EQ(runs, 5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, EveryPoolSize, testing::Values(1, 2, 3, 4, 9));

TEST(ThreadPool, OneThreadIsTheCallersOwn) {
  ThreadPool pool(1);
  const auto caller = std::this_thread::get_id();
  int64_t next = 0;
  pool.parallel_for(100, [&](int64_t item, int thread) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(thread, 0);
    EXPECT_EQ(item, next++);
  });
  EXPECT_EQ(next, 100);
}

TEST(ThreadPool, AllThreadsTakePart) {
  ThreadPool pool(3);
  // Each item waits until three different threads are inside; a pool that leaves one out would never end, hence the
  // bound on the tries.
  std::set<int> seen;
  for (int loop = 0; loop < 1000 && seen.size() < 3; ++loop) {
    std::vector<std::atomic<int>> by_thread(3);
    pool.parallel_for(30, [&](int64_t, int thread) {
      ++by_thread[static_cast<size_t>(thread)];
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    });
    for (int thread = 0; thread < 3; ++thread) {
      if (by_thread[static_cast<size_t>(thread)] > 0) seen.insert(thread);
    }
  }
  EXPECT_EQ(seen.size(), 3u);
}

TEST(ThreadPool, SeveralPoolsWorkSideBySide) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&] {
      ThreadPool pool(2);
      for (int loop = 0; loop < 300; ++loop) pool.parallel_for(10, [&](int64_t item, int) { sum += item; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 3 * 300 * 45);
}

TEST(ThreadPool, RefusesToBeEnteredTwice) {
  ThreadPool pool(2);
  EXPECT_ERROR(pool.parallel_for(8, [&](int64_t, int) { pool.parallel_for(8, [](int64_t, int) {}); }),
               ErrorKind::kRuntime, "entered twice");
}

TEST(ThreadPool, RefusesSenselessSizes) {
  EXPECT_ERROR(ThreadPool(0), ErrorKind::kUsage, "0 threads");
  EXPECT_ERROR(ThreadPool(-3), ErrorKind::kUsage, "-3 threads");
  EXPECT_ERROR(ThreadPool(1000000), ErrorKind::kUsage, "1000000 threads");
}

}  // namespace
}  // namespace megalith
