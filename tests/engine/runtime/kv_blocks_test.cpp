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

// One group of all positions and one of the last few, with blocks of 8.
std::vector<KvGroup> TwoGroups() {
  return {{.window = 0, .blocks_per_sequence = 10, .n_blocks = 20},
          {.window = 16, .blocks_per_sequence = 3, .n_blocks = 6}};
}

TEST(KvBlocksTest, ARingStopsGrowingWhereItsWindowIsFull) {
  KvBlocks blocks(TwoGroups(), 8);
  KvBlockTables tables;
  blocks.Extend(tables, 9);
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].size(), 2u);
  EXPECT_EQ(tables[1].size(), 2u);
  blocks.Extend(tables, 80);
  EXPECT_EQ(tables[0].size(), 10u);
  EXPECT_EQ(tables[1].size(), 3u);
}

TEST(KvBlocksTest, NeedsRoomInEveryGroup) {
  KvBlocks blocks({{.window = 0, .blocks_per_sequence = 10, .n_blocks = 20},
                   {.window = 16, .blocks_per_sequence = 3, .n_blocks = 4}},
                  8);
  KvBlockTables a, b;
  blocks.Extend(a, 80);
  EXPECT_TRUE(blocks.CanExtend(b, 8));
  EXPECT_FALSE(blocks.CanExtend(b, 9));  // a second block of the ring is not there
  EXPECT_TRUE(blocks.CanExtend(a, 80));
  blocks.Release(a);
  EXPECT_TRUE(a.empty());
  EXPECT_TRUE(blocks.CanExtend(b, 80));
}

}  // namespace
}  // namespace forge
