// The ops of hybrid and mixture-of-experts models on the CPU backend: the contract's bits, whatever the set of
// instructions, the threads, the chunks and the neighbours.
#include <gtest/gtest.h>

#include <vector>

#include "available.h"
#include "backends/cpu/cpu_ops.h"
#include "base/error.h"
#include "ops/hybrid_layer.h"
#include "ops/reference.h"

namespace megalith::cpu {
namespace {

using testing::HybridLayer;

class CpuHybrid : public ::testing::TestWithParam<const KernelTable*> {
 protected:
  HybridLayer on_cpu(int threads) { return HybridLayer(make_ops(ledger_, *GetParam(), threads)); }
  Ledger ledger_{uint64_t{1} << 40};
};
INSTANTIATE_TEST_SUITE_P(Sets, CpuHybrid, ::testing::ValuesIn(available_tables()), TableName());

TEST_P(CpuHybrid, GivesTheBitsOfTheContract) {
  HybridLayer reference(make_reference_ops(ledger_, ReferenceNumerics::kContract));
  const std::vector<float> expected = testing::read_in_chunks(reference, 0, 40, 40);
  for (const int threads : {1, 3}) {
    HybridLayer tested = on_cpu(threads);
    for (const int32_t chunk : {1, 7, 40}) {
      EXPECT_EQ(testing::read_in_chunks(tested, 1, 40, chunk), expected) << threads << " threads, chunks of " << chunk;
    }
  }
}

TEST_P(CpuHybrid, NeighboursChangeNoBit) {
  HybridLayer tested = on_cpu(2);
  const std::vector<float> alone = testing::read_in_chunks(tested, 0, 11, 11);
  for (const SlotId slot : {1, 2}) tested.ops().clear_slot(slot);
  // Another sequence before it in the batch.
  Batch batch = testing::hybrid_batch(1, 0, 5, 13);
  const Batch ours = testing::hybrid_batch(2, 0, 11);
  batch.tokens.insert(batch.tokens.end(), ours.tokens.begin(), ours.tokens.end());
  batch.positions.insert(batch.positions.end(), ours.positions.begin(), ours.positions.end());
  batch.sequences.push_back(ours.sequences.front());
  batch.sequences.back().first_row = 5;
  const std::vector<float> together = tested.step(batch);
  EXPECT_EQ(std::vector<float>(together.begin() + 5 * HybridLayer::kHidden, together.end()), alone);
}

TEST_P(CpuHybrid, ARejectedDraftLeavesNoTrace) {
  HybridLayer tested = on_cpu(2);
  const std::vector<float> never_drafted = testing::read_in_chunks(tested, 0, 16, 16);
  testing::read_in_chunks(tested, 1, 10, 10);
  std::vector<std::byte> saved(HybridLayer::layout().slot_bytes());
  tested.ops().save_slot(1, saved);
  tested.step(testing::hybrid_batch(1, 10, 5, 11));
  tested.ops().restore_slot(1, saved);
  const std::vector<float> rest = tested.step(testing::hybrid_batch(1, 10, 6));
  EXPECT_EQ(rest, std::vector<float>(never_drafted.begin() + 10 * HybridLayer::kHidden, never_drafted.end()));
}

TEST(CpuHybridState, RefusesWhatIsNotThere) {
  Ledger ledger(100'000);
  const auto ops = make_ops(ledger, *available_tables().front(), 1);
  EXPECT_THROW(ops->allocate_slots(HybridLayer::layout(), 1000), Error);
  ops->allocate_slots(HybridLayer::layout(), 2);
  EXPECT_THROW(ops->clear_slot(2), Error);
  EXPECT_THROW(ops->clear_slot(-1), Error);
  ops->clear_slot(1);
}

}  // namespace
}  // namespace megalith::cpu
