#include "engine/runtime/kv_blocks.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace forge {
namespace {

TEST(KvBlockPoolTest, GivesEachBlockOnceAndTakesItBack) {
  KvBlockPool pool(3);
  for (int round = 0; round < 10; ++round) {
    std::set<int32_t> blocks;
    while (pool.n_free() > 0) blocks.insert(pool.Take().block);
    EXPECT_EQ(blocks, (std::set<int32_t>{0, 1, 2}));
    for (const int32_t block : blocks) pool.Drop(block);
    EXPECT_EQ(pool.n_free(), 3u);
  }
}

TEST(KvBlockPoolTest, TakesBlocksWithoutANameFirstAndThenThoseUnusedForLongest) {
  KvBlockPool pool(4);
  for (int i = 0; i < 4; ++i) pool.Take();
  pool.SetName(0, 10);
  pool.SetName(1, 11);
  pool.SetName(2, 12);
  for (const int32_t block : {1, 0, 2, 3}) pool.Drop(block);
  pool.Use(0);  // of those without a use now: 1, 2
  EXPECT_EQ(pool.Take().block, 3);
  const KvBlockPool::Taken oldest = pool.Take();
  EXPECT_EQ(oldest.block, 1);
  EXPECT_EQ(oldest.forgotten, 11u);
  EXPECT_EQ(pool.name(1), 0u);
  EXPECT_EQ(pool.Take().block, 2);
  EXPECT_EQ(pool.n_free(), 0u);
  EXPECT_EQ(pool.n_uses(0), 1u);
}

TEST(KvBlockPoolDeathTest, RefusesABlockThatIsFreeAlready) {
  KvBlockPool pool(3);
  const int32_t block = pool.Take().block;
  pool.Drop(block);
  EXPECT_DEATH(pool.Drop(block), "block");
}

TEST(PrefixIndexTest, FindsOnlyTheVeryTokensBehindTheVeryPrefix) {
  PrefixIndex index(/*n_groups=*/1);
  const std::vector<TokenId> a = {1, 2}, b = {3, 4};
  const PrefixId first = index.FindOrAdd(0, a);
  const PrefixId second = index.FindOrAdd(first, b);
  EXPECT_EQ(index.FindOrAdd(first, b), second);
  EXPECT_EQ(index.Find(0, a), first);
  EXPECT_EQ(index.Find(0, b), 0u);
  EXPECT_EQ(index.Find(second, b), 0u);
  EXPECT_EQ(index.block(second, 0), PrefixIndex::kNoBlock);
  index.SetBlock(second, 0, 7);
  EXPECT_EQ(index.block(second, 0), 7);
  index.ForgetIfEmpty(second);
  EXPECT_EQ(index.Find(first, b), second);
  index.ForgetIfEmpty(first);
  EXPECT_EQ(index.Find(0, a), 0u);
  EXPECT_NE(index.FindOrAdd(0, a), first) << "what is behind the old one is not behind this one";
}

constexpr uint32_t kBlockTokens = 8;

// One group of all positions and one of the last few.
std::vector<KvGroup> TwoGroups() {
  return {{.window = 0, .blocks_per_sequence = 10, .n_blocks = 20},
          {.window = 16, .blocks_per_sequence = 3, .n_blocks = 6}};
}

std::vector<KvGroup> OneGroup(uint32_t n_blocks = 20) {
  return {{.window = 0, .blocks_per_sequence = 10, .n_blocks = n_blocks}};
}

std::vector<TokenId> Tokens(size_t n, TokenId first = 0) {
  std::vector<TokenId> tokens(n);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

// Extends the sequence by all of `tokens` in steps of `n_step`, and publishes after each.
void Compute(KvBlocks& blocks, KvSequence& sequence, std::span<const TokenId> tokens,
             size_t n_computed = 0, size_t n_step = 8) {
  while (n_computed < tokens.size()) {
    n_computed = std::min(tokens.size(), n_computed + n_step);
    ASSERT_TRUE(blocks.CanExtend(sequence, static_cast<uint32_t>(n_computed)));
    blocks.Extend(sequence, static_cast<uint32_t>(n_computed));
    blocks.Publish(sequence, tokens.first(n_computed));
  }
}

TEST(KvBlocksTest, ARingStopsGrowingWhereItsWindowIsFull) {
  KvBlocks blocks(TwoGroups(), kBlockTokens);
  KvSequence sequence;
  blocks.Extend(sequence, 9);
  ASSERT_EQ(sequence.tables.size(), 2u);
  EXPECT_EQ(sequence.tables[0].size(), 2u);
  EXPECT_EQ(sequence.tables[1].size(), 2u);
  blocks.Extend(sequence, 80);
  EXPECT_EQ(sequence.tables[0].size(), 10u);
  EXPECT_EQ(sequence.tables[1].size(), 3u);
}

TEST(KvBlocksTest, NeedsRoomInEveryGroup) {
  KvBlocks blocks({{.window = 0, .blocks_per_sequence = 10, .n_blocks = 20},
                   {.window = 16, .blocks_per_sequence = 3, .n_blocks = 4}},
                  kBlockTokens);
  KvSequence a, b;
  blocks.Extend(a, 80);
  EXPECT_TRUE(blocks.CanExtend(b, 8));
  EXPECT_FALSE(blocks.CanExtend(b, 9));  // a second block of the ring is not there
  EXPECT_TRUE(blocks.CanExtend(a, 80));
  blocks.Release(a);
  EXPECT_TRUE(a.empty());
  EXPECT_TRUE(blocks.CanExtend(b, 80));
}

TEST(KvBlocksTest, UsageIsThatOfTheFullestGroup) {
  KvBlocks blocks(TwoGroups(), kBlockTokens);
  EXPECT_EQ(blocks.usage(), 0.0);
  KvSequence a, b;
  blocks.Extend(a, 16);
  EXPECT_EQ(blocks.usage(), 2.0 / 6);
  blocks.Extend(a, 80);
  EXPECT_EQ(blocks.usage(), 0.5);  // of both
  blocks.Extend(b, 8);
  EXPECT_EQ(blocks.usage(), 4.0 / 6);
  blocks.Release(a);
  blocks.Release(b);
  EXPECT_EQ(blocks.usage(), 0.0);
}

TEST(KvBlocksTest, ASequenceAdoptsTheFullBlocksThatOthersComputed) {
  KvBlocks blocks(OneGroup(), kBlockTokens);
  const std::vector<TokenId> tokens = Tokens(30);
  KvSequence a, b;
  Compute(blocks, a, tokens);
  EXPECT_EQ(blocks.Adopt(b, tokens, 0), 24u);
  ASSERT_EQ(b.tables[0].size(), 3u);
  EXPECT_TRUE(std::equal(b.tables[0].begin(), b.tables[0].end(), a.tables[0].begin()));

  std::vector<TokenId> other = tokens;
  other[12] = 99;
  KvSequence c;
  EXPECT_EQ(blocks.Adopt(c, other, 0), 8u);
  KvSequence d;
  EXPECT_EQ(blocks.Adopt(d, std::span(tokens).subspan(8), 0), 0u) << "at another position";
}

TEST(KvBlocksTest, BlocksOfSequencesThatAreGoneStayUntilTheirRoomIsNeeded) {
  KvBlocks blocks(OneGroup(/*n_blocks=*/6), kBlockTokens);
  const std::vector<TokenId> tokens = Tokens(32);
  KvSequence a;
  Compute(blocks, a, tokens);
  blocks.Release(a);
  KvSequence other;
  Compute(blocks, other, Tokens(24, 100));  // takes two that were free, and the last one of `a`
  KvSequence b;
  EXPECT_EQ(blocks.Adopt(b, tokens, 0), 24u);
  EXPECT_FALSE(blocks.CanExtend(b, 32));
  blocks.Release(other);
  EXPECT_TRUE(blocks.CanExtend(b, 32));
}

TEST(KvBlocksTest, SequencesThatComputedTheSameShareIt) {
  KvBlocks blocks(OneGroup(/*n_blocks=*/6), kBlockTokens);
  const std::vector<TokenId> tokens = Tokens(24);
  KvSequence a, b;
  blocks.Extend(a, 24);
  blocks.Extend(b, 24);
  KvSequence c;
  EXPECT_FALSE(blocks.CanExtend(c, 8));
  blocks.Publish(a, tokens);
  blocks.Publish(b, tokens);
  EXPECT_EQ(a.tables, b.tables);
  EXPECT_TRUE(blocks.CanExtend(c, 24));
  blocks.Release(a);
  EXPECT_FALSE(blocks.CanExtend(c, 32)) << "b still reads three of them";
}

TEST(KvBlocksTest, WhatOthersReadIsNotWrittenTo) {
  KvBlocks blocks(OneGroup(), kBlockTokens);
  const std::vector<TokenId> tokens = Tokens(24);
  KvSequence a, b;
  Compute(blocks, a, tokens);
  ASSERT_EQ(blocks.Adopt(b, tokens, 0), 24u);
  // The next token of `a` would go to the middle of its second block.
  EXPECT_EQ(blocks.Truncate(a, 12), 8u);
  Compute(blocks, a, Tokens(24, 50), 8);
  EXPECT_NE(a.tables[0][1], b.tables[0][1]);
}

TEST(KvBlocksTest, WhatNobodyElseReadsIsWrittenToAndFoundNoMore) {
  KvBlocks blocks(OneGroup(), kBlockTokens);
  const std::vector<TokenId> tokens = Tokens(24);
  KvSequence a;
  Compute(blocks, a, tokens);
  const int32_t second = a.tables[0][1];
  EXPECT_EQ(blocks.Truncate(a, 12), 12u);
  EXPECT_EQ(a.tables[0][1], second);
  KvSequence b;
  EXPECT_EQ(blocks.Adopt(b, tokens, 0), 8u);
}

TEST(KvBlocksTest, AWindowIsAdoptedWhereAllThatTheNextTokenSeesIsThere) {
  KvBlocks blocks(TwoGroups(), kBlockTokens);
  const std::vector<TokenId> tokens = Tokens(72);
  KvSequence a;
  Compute(blocks, a, tokens);
  // The ring holds blocks 6, 7, 8; those before are free, and three of them still hold what they
  // did. A token at 64 sees from 49 on.
  KvSequence b;
  EXPECT_EQ(blocks.Adopt(b, tokens, 0), 72u);
  EXPECT_EQ(b.first, (std::vector<uint32_t>{0, 7}));
  blocks.Release(b);
  KvSequence c;
  EXPECT_EQ(blocks.Adopt(c, std::span(tokens).first(40), 0), 40u) << "blocks 3 and 4";
  blocks.Release(c);
  KvSequence taking;
  Compute(blocks, taking, Tokens(40, 200));
  EXPECT_EQ(blocks.Adopt(c, std::span(tokens).first(40), 0), 0u) << "they are gone";
  EXPECT_EQ(blocks.Adopt(c, tokens, 0), 72u);
}

TEST(KvBlocksTest, ASearchInVainIsNotRepeatedUntilOthersComputedMore) {
  KvBlocks blocks(OneGroup(), kBlockTokens);
  const std::vector<TokenId> tokens = Tokens(40);
  KvSequence a, b;
  Compute(blocks, a, std::span(tokens).first(8));
  EXPECT_EQ(blocks.Adopt(b, tokens, 0), 8u);
  EXPECT_EQ(blocks.Adopt(b, tokens, 8), 8u);
  Compute(blocks, b, std::span(tokens).first(16), 8);
  EXPECT_EQ(blocks.Adopt(b, tokens, 16), 16u) << "only its own are new";
  Compute(blocks, a, std::span(tokens).first(32), 8);
  EXPECT_EQ(blocks.Adopt(b, tokens, 16), 32u);
}

// A ring loses blocks for good: going back twice must not find what the first time overwrote.
TEST(KvBlocksTest, GoingBackTwiceSeesWhatTheRingHasLost) {
  KvBlocks blocks({{.window = 0, .blocks_per_sequence = 20, .n_blocks = 20},
                   {.window = 16, .blocks_per_sequence = 4, .n_blocks = 4}},
                  kBlockTokens);
  KvSequence sequence;
  Compute(blocks, sequence, Tokens(80));  // blocks 6 to 9 are there
  EXPECT_EQ(blocks.Truncate(sequence, 65), 65u);
  blocks.Extend(sequence, 66);
  EXPECT_EQ(blocks.Truncate(sequence, 57), 0u) << "the token at 57 sees block 5";
  EXPECT_TRUE(sequence.empty());
}

// One step up to `end` of two recurrent sequences at most, which keeps the state after `n_kept`.
StateSlots StepTo(KvBlocks& blocks, KvSequence& sequence, std::span<const TokenId> tokens,
                  uint32_t n_computed, uint32_t n_kept, bool is_answer = false) {
  const auto end = static_cast<uint32_t>(tokens.size());
  EXPECT_TRUE(blocks.CanExtend(sequence, end));
  blocks.Extend(sequence, end);
  const StateSlots slots = blocks.BeginStep(sequence, n_computed, n_kept, is_answer);
  blocks.Publish(sequence, tokens);
  blocks.EndStep(sequence);
  return slots;
}

TEST(StateSlotsTest, ASequenceChangesItsOwnSlotInPlace) {
  KvBlocks blocks(OneGroup(), kBlockTokens, /*n_state_slots=*/6, /*max_sequences=*/2);
  KvSequence a, b;
  const StateSlots first = StepTo(blocks, a, Tokens(5), 0, 0);
  EXPECT_EQ(first.from, -1);
  EXPECT_EQ(first.kept_after, 0u);
  const StateSlots second = StepTo(blocks, a, Tokens(7), 5, 0);
  EXPECT_EQ(second.from, first.to);
  EXPECT_EQ(second.to, first.to);
  EXPECT_NE(StepTo(blocks, b, Tokens(5, 100), 0, 0).to, first.to);
}

TEST(StateSlotsTest, WhatWasKeptIsFoundAndNeverWrittenTo) {
  KvBlocks blocks(OneGroup(), kBlockTokens, /*n_state_slots=*/6, /*max_sequences=*/2);
  const std::vector<TokenId> tokens = Tokens(40);
  KvSequence a, b;
  const StateSlots computed = StepTo(blocks, a, std::span(tokens).first(30), 0, 16);
  EXPECT_EQ(computed.kept_after, 16u);
  EXPECT_NE(computed.kept_to, computed.to);
  EXPECT_EQ(blocks.Adopt(b, tokens, 0), 16u) << "three blocks are there, the state after two";
  const StateSlots going_on = StepTo(blocks, b, std::span(tokens).first(20), 16, 0);
  EXPECT_EQ(going_on.from, computed.kept_to);
  EXPECT_NE(going_on.to, computed.kept_to);
  EXPECT_EQ(StepTo(blocks, b, std::span(tokens).first(21), 20, 0).from, going_on.to);
}

TEST(StateSlotsTest, NothingIsKeptWhereOthersMayNeedTheSlot) {
  KvBlocks blocks(OneGroup(), kBlockTokens, /*n_state_slots=*/4, /*max_sequences=*/2);
  KvSequence a, b;
  EXPECT_EQ(StepTo(blocks, a, Tokens(9), 0, 8).kept_after, 8u);
  EXPECT_EQ(StepTo(blocks, b, Tokens(9, 50), 0, 8).kept_after, 0u);
}

TEST(StateSlotsTest, OfAnAnswerTheLastOneIsKept) {
  KvBlocks blocks(OneGroup(), kBlockTokens, /*n_state_slots=*/6, /*max_sequences=*/2);
  const std::vector<TokenId> tokens = Tokens(40);
  KvSequence a;
  StepTo(blocks, a, std::span(tokens).first(10), 0, 8);
  for (uint32_t n = 11; n <= 40; ++n)
    StepTo(blocks, a, std::span(tokens).first(n), n - 1, n / 8 * 8, /*is_answer=*/true);
  KvSequence b, c;
  EXPECT_EQ(blocks.Adopt(b, std::span(tokens).first(39), 0), 8u) << "32 was given up for 40";
  EXPECT_EQ(blocks.Adopt(c, tokens, 0), 40u);
}

TEST(StateSlotsTest, ASequenceThatGoesBackIsReleased) {
  KvBlocks blocks(OneGroup(), kBlockTokens, /*n_state_slots=*/6, /*max_sequences=*/2);
  const std::vector<TokenId> tokens = Tokens(40);
  KvSequence a;
  StepTo(blocks, a, std::span(tokens).first(30), 0, 24);
  EXPECT_EQ(blocks.Truncate(a, 27), 0u);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(blocks.Adopt(a, std::span(tokens).first(27), 0), 24u);
}

}  // namespace
}  // namespace forge
