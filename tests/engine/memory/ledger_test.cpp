#include "engine/memory/ledger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "engine/memory/arena.h"
#include "tests/engine/memory/memory_only_device.h"

namespace forge {
namespace {

using testing::MemoryOnlyDevice;

TEST(LedgerTest, RefusesMoreThanAvailableAndChangesNothing) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  Result<Reservation> claim = ledger.Admit(701);
  ASSERT_FALSE(claim.ok());
  EXPECT_EQ(claim.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(claim.status().reason(), "GPU_BUDGET_EXCEEDED");
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
  EXPECT_EQ(device.allocate_calls(), 0u);
  EXPECT_TRUE(ledger.Admit(700).ok());
}

TEST(LedgerTest, CountsPromisedBytesAgainstTheNextPlan) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  const Result<Reservation> first = ledger.Admit(500);
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(ledger.Admit(201).ok());
  EXPECT_TRUE(ledger.Admit(200).ok());
}

TEST(LedgerTest, DecidesTheSameBeforeAndAfterThePromisedBytesAreAllocated) {
  for (const auto kind : {AdmissionPolicy::Kind::kShare, AdmissionPolicy::Kind::kIncremental}) {
    MemoryOnlyDevice device(1000);
    Ledger ledger(device, {.kind = kind});
    Result<Reservation> claim = ledger.Admit(300);
    ASSERT_TRUE(claim.ok());
    const uint64_t promised = ledger.Preview(1)->available_bytes;
    Result<Arena> arena = Arena::Create(device, std::move(*claim));
    ASSERT_TRUE(arena.ok());
    EXPECT_EQ(ledger.Preview(1)->available_bytes, promised);
    EXPECT_EQ(ledger.Preview(1)->free_bytes, 700u);
  }
}

TEST(LedgerTest, PreviewClaimsNothing) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  const Result<AdmissionDecision> decision = ledger.Preview(600);
  ASSERT_TRUE(decision.ok());
  EXPECT_TRUE(decision->admitted);
  EXPECT_EQ(decision->requested_bytes, 600u);
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
  EXPECT_FALSE(ledger.Preview(701)->admitted);
}

TEST(LedgerTest, FollowsWhatOtherProgramsTake) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  device.SetForeignBytes(900);
  EXPECT_FALSE(ledger.Admit(71).ok());
  EXPECT_TRUE(ledger.Admit(70).ok());
  device.SetForeignBytes(5000);
  EXPECT_EQ(ledger.Preview(1)->available_bytes, 0u);
}

TEST(LedgerTest, RefusesAnEmptyPlan) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  EXPECT_EQ(ledger.Admit(0).status().code(), StatusCode::kInvalidArgument);
}

TEST(LedgerTest, AdmitsNothingOnADeviceThatDoesNotAnswer) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  device.FailReadings();
  EXPECT_EQ(ledger.Admit(1).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(ledger.Preview(1).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
}

TEST(ReservationTest, GivesItsBytesBackOnce) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  {
    Reservation claim = *ledger.Admit(400);
    Reservation moved = std::move(claim);
    EXPECT_EQ(moved.bytes(), 400u);
    EXPECT_EQ(claim.bytes(), 0u);  // NOLINT(bugprone-use-after-move): what a move leaves behind
    EXPECT_EQ(ledger.reserved_bytes(), 400u);
  }
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
}

TEST(ReservationTest, AssignmentGivesTheOldBytesBack) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  Reservation claim = *ledger.Admit(400);
  claim = *ledger.Admit(100);
  EXPECT_EQ(ledger.reserved_bytes(), 100u);
  Reservation& same = claim;
  claim = std::move(same);
  EXPECT_EQ(claim.bytes(), 100u);
  EXPECT_EQ(ledger.reserved_bytes(), 100u);
}

TEST(ReservationTest, SplitsIntoClaimsThatLiveOnTheirOwn) {
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  Reservation whole = *ledger.Admit(600);
  {
    const Reservation part = whole.Split(250);
    EXPECT_EQ(part.bytes(), 250u);
    EXPECT_EQ(whole.bytes(), 350u);
    EXPECT_EQ(ledger.reserved_bytes(), 600u);
  }
  EXPECT_EQ(ledger.reserved_bytes(), 350u);
}

TEST(ReservationDeathTest, AbortsOnASplitOfMoreThanItHolds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  MemoryOnlyDevice device(1000);
  Ledger ledger(device, {});
  Reservation claim = *ledger.Admit(10);
  EXPECT_DEATH(static_cast<void>(claim.Split(11)), "check failed");
}

// Threads admit, allocate and free as fast as they can; no moment may pass the budget.
TEST(LedgerTest, ConcurrentAdmissionsNeverPassTheBudget) {
  constexpr uint64_t kTotal = 1 << 20;
  constexpr uint64_t kBudget = kTotal / 10 * 7 + 7;
  MemoryOnlyDevice device(kTotal);
  Ledger ledger(device, {});
  std::atomic<int> admitted = 0, refused = 0, over_budget = 0, failed_allocations = 0;
  const auto work = [&](uint64_t seed) {
    std::vector<Arena> arenas;
    uint64_t state = seed;
    for (int i = 0; i < 2000; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const uint64_t plan = (state >> 40) % (kTotal / 4) + 64;
      Result<Reservation> claim = ledger.Admit(plan);
      if (ledger.reserved_bytes() > kBudget) ++over_budget;
      if (!claim.ok()) {
        ++refused;
        arenas.clear();
        continue;
      }
      ++admitted;
      Result<Arena> arena = Arena::Create(device, std::move(*claim));
      if (arena.ok())
        arenas.push_back(std::move(*arena));
      else
        ++failed_allocations;
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(admitted, 100);
  EXPECT_GT(refused, 100);
  EXPECT_EQ(over_budget, 0);
  EXPECT_EQ(failed_allocations, 0);
  EXPECT_LE(device.peak_bytes(), kBudget);
  EXPECT_EQ(ledger.reserved_bytes(), 0u);
  EXPECT_EQ(device.allocation_count().allocations, 0u);
  EXPECT_EQ(device.allocation_count().bytes, 0u);
}

}  // namespace
}  // namespace forge
