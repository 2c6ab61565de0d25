// Errors, the byte ledger and the cost meter.
#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/cost_meter.h"
#include "base/error.h"
#include "base/expect_error.h"
#include "base/ledger.h"

namespace megalith {
namespace {

TEST(Error, KindsHaveTheDocumentedExitCodes) {
  EXPECT_EQ(exit_code(ErrorKind::kRuntime), 1);
  EXPECT_EQ(exit_code(ErrorKind::kUsage), 2);
  EXPECT_EQ(exit_code(ErrorKind::kModelNotFound), 3);
  EXPECT_EQ(exit_code(ErrorKind::kInvalidModel), 4);
  EXPECT_EQ(exit_code(ErrorKind::kDoesNotFit), 5);
  EXPECT_EQ(exit_code(ErrorKind::kUnavailable), 6);
  EXPECT_EQ(exit_code(ErrorKind::kInterrupted), 130);
}

TEST(Ledger, GivesBackWhatDies) {
  Ledger ledger(1000);
  {
    const Reservation weights = ledger.reserve("weights", 600);
    const Reservation pages = ledger.reserve("pages", 300);
    EXPECT_EQ(weights.bytes(), 600u);
    EXPECT_EQ(ledger.reserved_bytes(), 900u);
    EXPECT_EQ(ledger.available_bytes(), 100u);
    ASSERT_EQ(ledger.report().size(), 2u);
    EXPECT_EQ(ledger.report()[1].name, "pages");
    EXPECT_EQ(ledger.report()[1].bytes, 300u);
  }
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
  EXPECT_TRUE(ledger.report().empty());
}

TEST(Ledger, RefusesWhatDoesNotFitAndNamesTheCure) {
  Ledger ledger(1000);
  const Reservation held = ledger.reserve("weights", 900);
  EXPECT_ERROR(ledger.reserve("KV pages", 101, "use --ctx 512"), ErrorKind::kDoesNotFit, "KV pages needs 101 B");
  EXPECT_ERROR(ledger.reserve("KV pages", 101, "use --ctx 512"), ErrorKind::kDoesNotFit, "use --ctx 512");
  EXPECT_ERROR(ledger.reserve("KV pages", UINT64_MAX), ErrorKind::kDoesNotFit, "100 B");
  EXPECT_EQ(ledger.reserved_bytes(), 900u);
  EXPECT_EQ(ledger.reserve("KV pages", 100).bytes(), 100u);
}

TEST(Ledger, MovedReservationsAreCountedOnce) {
  Ledger ledger(1000);
  Reservation a = ledger.reserve("pages", 100);
  Reservation b = std::move(a);
  EXPECT_EQ(ledger.reserved_bytes(), 100u);
  b = ledger.reserve("pages", 50);
  EXPECT_EQ(ledger.reserved_bytes(), 50u);
  b = Reservation();
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
}

TEST(Ledger, NeverGrantsMoreThanItHasToManyThreads) {
  Ledger ledger(100);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        try {
          const Reservation held = ledger.reserve("pages", 40);
          EXPECT_LE(ledger.reserved_bytes(), 100u);
        } catch (const Error&) {
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
}

TEST(FormatBytes, IsForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(uint64_t{5} << 29), "2.50 GiB");
  EXPECT_EQ(format_bytes(uint64_t{80} << 30), "80.0 GiB");
}

TEST(CostMeter, SumsByOp) {
  CostMeter meter;
  meter.add("linear", {100, 0, 10}, 0.5);
  meter.add("attention", {0, 50, 20}, 0.25);
  meter.add("linear", {100, 0, 10}, 0.5);
  ASSERT_EQ(meter.lines().size(), 2u);
  EXPECT_EQ(meter.lines()[0].op, "linear");
  EXPECT_EQ(meter.lines()[0].calls, 2u);
  EXPECT_EQ(meter.lines()[0].cost.weight_bytes, 200u);
  EXPECT_EQ(meter.total().state_bytes, 50u);
  EXPECT_EQ(meter.total().multiply_adds, 40u);
  EXPECT_DOUBLE_EQ(meter.total_seconds(), 1.25);
  meter.clear();
  EXPECT_TRUE(meter.lines().empty());
}

TEST(CostMeter, ScopesAddThemselves) {
  CostMeter meter;
  {
    const MeteredScope scope(&meter, "linear", {7, 0, 0});
  }
  {
    const MeteredScope scope(nullptr, "linear", {7, 0, 0});
  }
  ASSERT_EQ(meter.lines().size(), 1u);
  EXPECT_EQ(meter.total().weight_bytes, 7u);
  EXPECT_GE(meter.total_seconds(), 0.0);
}

}  // namespace
}  // namespace megalith
