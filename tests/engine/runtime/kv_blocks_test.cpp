#include "engine/runtime/kv_blocks.h"

#include <gtest/gtest.h>

#include <set>

namespace forge {
namespace {

TEST(KvBlockPoolTest, GivesEachBlockToOneTable) {
  KvBlockPool pool(5);
  KvBlockTable a, b;
  ASSERT_TRUE(pool.Extend(a, 2).ok());
  ASSERT_TRUE(pool.Extend(b, 2).ok());
  ASSERT_TRUE(pool.Extend(a, 3).ok());
  std::set<int32_t> blocks(a.begin(), a.end());
  blocks.insert(b.begin(), b.end());
  EXPECT_EQ(blocks, (std::set<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.n_free(), 0u);
}

TEST(KvBlockPoolTest, ExtendsByWhatIsMissingOnly) {
  KvBlockPool pool(4);
  KvBlockTable table;
  ASSERT_TRUE(pool.Extend(table, 2).ok());
  const KvBlockTable before = table;
  ASSERT_TRUE(pool.Extend(table, 1).ok());
  ASSERT_TRUE(pool.Extend(table, 2).ok());
  EXPECT_EQ(table, before);
  EXPECT_EQ(pool.n_free(), 2u);
}

TEST(KvBlockPoolTest, RefusesMoreThanIsFreeAndChangesNothing) {
  KvBlockPool pool(3);
  KvBlockTable a, b;
  ASSERT_TRUE(pool.Extend(a, 2).ok());
  EXPECT_EQ(pool.Extend(b, 2).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(pool.n_free(), 1u);
}

TEST(KvBlockPoolTest, TakesBlocksBack) {
  KvBlockPool pool(3);
  KvBlockTable table;
  for (int round = 0; round < 100; ++round) {
    ASSERT_TRUE(pool.Extend(table, 3).ok()) << "round " << round;
    pool.Release(table);
    EXPECT_TRUE(table.empty());
    EXPECT_EQ(pool.n_free(), 3u);
  }
}

TEST(KvBlockPoolDeathTest, RefusesABlockThatIsFreeAlready) {
  KvBlockPool pool(3);
  KvBlockTable table;
  ASSERT_TRUE(pool.Extend(table, 1).ok());
  KvBlockTable copy = table;
  pool.Release(table);
  EXPECT_DEATH(pool.Release(copy), "block");
}

}  // namespace
}  // namespace forge
