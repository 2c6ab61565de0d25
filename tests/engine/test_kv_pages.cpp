#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "engine/kv_pages.h"

namespace megalith {
namespace {

TEST(PagePool, GivesEachPageOnceAndTakesItBack) {
  PagePool pool(10);
  const auto first = pool.allocate(4);
  const auto second = pool.allocate(6);
  ASSERT_TRUE(first && second);
  std::set<PageId> pages(first->begin(), first->end());
  pages.insert(second->begin(), second->end());
  EXPECT_EQ(pages.size(), 10U);
  EXPECT_EQ(pool.free_pages(), 0);
  EXPECT_FALSE(pool.allocate(1));
  pool.check_integrity();
  pool.release(*first);
  EXPECT_EQ(pool.free_pages(), 4);
  pool.check_integrity();
}

TEST(PagePool, NeverGivesAPart) {
  PagePool pool(3);
  EXPECT_FALSE(pool.allocate(4));
  EXPECT_EQ(pool.free_pages(), 3);
  EXPECT_TRUE(pool.allocate(0)->empty());
}

TEST(PagePool, GivesLowPagesFirstSoThatAQuietPoolTouchesLittleMemory) {
  PagePool pool(100);
  const auto pages = pool.allocate(3);
  EXPECT_EQ(*pages, (std::vector<PageId>{0, 1, 2}));
  pool.release(*pages);
  EXPECT_EQ(*pool.allocate(3), *pages);
}

TEST(PagePool, RefusesWhatIsNotHeld) {
  PagePool pool(3);
  const std::vector<PageId> never_given = {1};
  EXPECT_THROW(pool.release(never_given), Error);
  const std::vector<PageId> outside = {7};
  EXPECT_THROW(pool.release(outside), Error);
  const auto pages = pool.allocate(1);
  pool.release(*pages);
  EXPECT_THROW(pool.release(*pages), Error);
}

TEST(PagePool, PagesForTokens) {
  EXPECT_EQ(PagePool::pages_for(0), 0);
  EXPECT_EQ(PagePool::pages_for(1), 1);
  EXPECT_EQ(PagePool::pages_for(64), 1);
  EXPECT_EQ(PagePool::pages_for(65), 2);
}

}  // namespace
}  // namespace megalith
