// Tensors are counted by their handles.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "ops/ops.h"

namespace megalith {
namespace {

struct CountingOwner final : TensorOwner {
  int handles = 1;  // Tensor's first handle is counted by its maker
  void retain(int32_t, uint32_t) noexcept override { ++handles; }
  void release(int32_t, uint32_t) noexcept override { --handles; }
};

TEST(Tensor, CountsCopiesAndNotMoves) {
  CountingOwner owner;
  {
    Tensor first(owner, 7, 3, 2, 5);
    Tensor copy = first;
    EXPECT_EQ(owner.handles, 2);
    const Tensor moved = std::move(copy);
    EXPECT_EQ(owner.handles, 2);
    EXPECT_EQ(moved.rows, 2);
    EXPECT_EQ(moved.columns, 5);
    EXPECT_EQ(moved.id(), 7);
    first = moved;
    EXPECT_EQ(owner.handles, 2);
    std::vector<Tensor> many(3, first);
    EXPECT_EQ(owner.handles, 5);
  }
  EXPECT_EQ(owner.handles, 0);
}

TEST(Tensor, AssignmentReleasesTheOldValue) {
  CountingOwner one;
  CountingOwner other;
  Tensor a(one, 0, 1, 1, 1);
  Tensor b(other, 0, 1, 1, 1);
  a = b;
  EXPECT_EQ(one.handles, 0);
  EXPECT_EQ(other.handles, 2);
  a = Tensor{};
  EXPECT_EQ(other.handles, 1);
}

}  // namespace
}  // namespace megalith
