#include "engine/memory/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <utility>

#include "tests/engine/memory/memory_only_device.h"

namespace forge {
namespace {

using testing::MemoryOnlyDevice;

class ArenaTest : public ::testing::Test {
 protected:
  Result<Arena> MakeArena(uint64_t bytes) {
    Result<Reservation> claim = ledger_.Admit(bytes);
    if (!claim.ok()) return claim.status();
    return Arena::Create(device_, std::move(*claim));
  }
  void ExpectBaseline() {
    EXPECT_EQ(ledger_.reserved_bytes(), 0u);
    EXPECT_EQ(device_.allocation_count().bytes, 0u);
    EXPECT_EQ(device_.allocation_count().allocations, 0u);
  }

  MemoryOnlyDevice device_{100'000};
  Ledger ledger_{device_, {}};
};

TEST_F(ArenaTest, AllocatesItsClaimAndFreesIt) {
  {
    const Result<Arena> arena = MakeArena(1000);
    ASSERT_TRUE(arena.ok());
    EXPECT_EQ(arena->size_bytes(), 1000u);
    EXPECT_EQ(device_.allocation_count().bytes, 1000u);
    EXPECT_EQ(device_.allocation_count().allocations, 1u);
    EXPECT_EQ(ledger_.reserved_bytes(), 1000u);
  }
  ExpectBaseline();
}

TEST_F(ArenaTest, RefusesAnEmptyClaim) {
  EXPECT_EQ(Arena::Create(device_, Reservation()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(device_.allocate_calls(), 0u);
}

TEST_F(ArenaTest, ReturnsTheClaimWhenAllocationFails) {
  device_.FailAllocation(1, /*for_ever=*/false);
  EXPECT_EQ(MakeArena(1000).status().code(), StatusCode::kResourceExhausted);
  ExpectBaseline();
  EXPECT_TRUE(MakeArena(1000).ok());
}

TEST_F(ArenaTest, MovesWithoutFreeingTwice) {
  Result<Arena> first = MakeArena(1000);
  Result<Arena> second = MakeArena(500);
  ASSERT_TRUE(first.ok() && second.ok());
  std::byte* const data = *first->View(0, 1);
  Arena moved = std::move(*first);
  EXPECT_EQ(*moved.View(0, 1), data);
  moved = std::move(*second);  // frees the 1000 bytes
  EXPECT_EQ(device_.allocation_count().bytes, 500u);
  EXPECT_EQ(ledger_.reserved_bytes(), 500u);
  moved = Arena(std::move(moved));
  EXPECT_EQ(moved.size_bytes(), 500u);
  EXPECT_EQ(device_.allocation_count().bytes, 500u);
}

TEST_F(ArenaTest, HandsOutWritableViewsUpToItsEnd) {
  const Result<Arena> arena = MakeArena(1000);
  ASSERT_TRUE(arena.ok());
  std::byte* const start = *arena->View(0, 1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(start) % 64, 0u);
  std::memset(start, 1, 1000);
  EXPECT_EQ(*arena->View(960, 40), start + 960);
  EXPECT_EQ(*arena->View(64, 936), start + 64);
}

TEST_F(ArenaTest, RefusesViewsOutOfRange) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  const Result<Arena> arena = MakeArena(1000);
  ASSERT_TRUE(arena.ok());
  const std::pair<uint64_t, uint64_t> out_of_range[] = {
      {0, 1001}, {960, 41}, {1024, 1}, {64, kMax}, {kMax - 63, 64}, {kMax - 63, kMax}};
  for (const auto& [offset, bytes] : out_of_range)
    EXPECT_EQ(arena->View(offset, bytes).status().code(), StatusCode::kOutOfRange)
        << offset << " + " << bytes;
}

TEST_F(ArenaTest, RefusesEmptyAndMisalignedViews) {
  const Result<Arena> arena = MakeArena(1000);
  ASSERT_TRUE(arena.ok());
  EXPECT_EQ(arena->View(0, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(arena->View(2000, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(arena->View(32, 8).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace forge
