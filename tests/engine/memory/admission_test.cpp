#include "engine/memory/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/base/byte_text.h"

namespace forge {
namespace {

using Kind = AdmissionPolicy::Kind;
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kGiB = uint64_t{1} << 30;

MemoryReading Reading(uint64_t free_bytes, uint64_t total_bytes = kMax) {
  return {total_bytes, free_bytes, free_bytes, free_bytes};
}

// The value of a detail, or "absent".
std::string Detail(const Status& status, std::string_view key) {
  for (const auto& [name, value] : status.details())
    if (name == key) return value;
  return "absent";
}

struct Case {
  const char* name;
  AdmissionPolicy policy;
  uint64_t free_bytes, reserved_bytes, allocated_bytes;
  uint64_t available_bytes;
  AdmissionBound bound;
};

class AdmissionTableTest : public ::testing::TestWithParam<Case> {};

TEST_P(AdmissionTableTest, AdmitsUpToAvailableAndNoByteMore) {
  const Case& c = GetParam();
  const auto decide = [&c](uint64_t plan) {
    return DecideAdmission(c.policy, Reading(c.free_bytes), c.reserved_bytes, c.allocated_bytes,
                           plan);
  };
  const AdmissionDecision at = decide(c.available_bytes);
  EXPECT_TRUE(at.admitted);
  EXPECT_EQ(at.available_bytes, c.available_bytes);
  EXPECT_EQ(at.bound, c.bound) << AdmissionBoundName(at.bound);
  if (c.available_bytes == kMax) return;
  EXPECT_FALSE(decide(c.available_bytes + 1).admitted);
}

constexpr AdmissionPolicy Policy(Kind kind, double fraction, uint64_t reserve = 0,
                                 std::optional<uint64_t> cap = std::nullopt) {
  return {kind, fraction, reserve, cap};
}

INSTANTIATE_TEST_SUITE_P(
    Cases, AdmissionTableTest,
    ::testing::Values(
        Case{"FirstModelTakesItsShareOfFree", Policy(Kind::kShare, 0.70), 1000, 0, 0, 700,
             AdmissionBound::kShare},
        Case{"FirstModelTakesTheSameIncrementally", Policy(Kind::kIncremental, 0.70), 1000, 0, 0,
             700, AdmissionBound::kIncremental},
        Case{"ShareCountsOwnBytesTwice", Policy(Kind::kShare, 0.70), 600, 400, 400, 300,
             AdmissionBound::kShare},
        Case{"IncrementalForgetsOwnBytes", Policy(Kind::kIncremental, 0.70), 600, 400, 400, 420,
             AdmissionBound::kIncremental},
        Case{"PromisedBytesAreNotFree", Policy(Kind::kIncremental, 0.70), 1000, 400, 0, 420,
             AdmissionBound::kIncremental},
        Case{"SharePromisedOrAllocatedIsTheSame", Policy(Kind::kShare, 0.70), 1000, 400, 0, 300,
             AdmissionBound::kShare},
        Case{"PartlyAllocated", Policy(Kind::kShare, 0.70), 900, 400, 100, 300,
             AdmissionBound::kShare},
        Case{"ReserveIsTakenFromShare", Policy(Kind::kShare, 0.70, 100), 1000, 0, 0, 600,
             AdmissionBound::kShare},
        Case{"ReserveIsTakenFromIncremental", Policy(Kind::kIncremental, 0.70, 100), 1000, 0, 0,
             600, AdmissionBound::kIncremental},
        Case{"CapBinds", Policy(Kind::kShare, 0.70, 0, 500), 1000, 0, 0, 500, AdmissionBound::kCap},
        Case{"CapCountsOwnBytes", Policy(Kind::kIncremental, 0.70, 0, 500), 1000, 300, 300, 200,
             AdmissionBound::kCap},
        Case{"CapBelowOwnLeavesNothing", Policy(Kind::kShare, 0.70, 0, 100), 1000, 300, 300, 0,
             AdmissionBound::kCap},
        Case{"WideCapDoesNotBind", Policy(Kind::kShare, 0.70, 0, 5000), 1000, 0, 0, 700,
             AdmissionBound::kShare},
        Case{"WholeFractionIsBoundByFree", Policy(Kind::kShare, 1.0), 1000, 200, 200, 1000,
             AdmissionBound::kFree},
        Case{"OwnPastShareLeavesNothing", Policy(Kind::kShare, 0.70), 100, 900, 900, 0,
             AdmissionBound::kShare},
        Case{"NothingFree", Policy(Kind::kShare, 0.70), 0, 0, 0, 0, AdmissionBound::kFree},
        Case{"PromisedPastFree", Policy(Kind::kIncremental, 0.70), 100, 400, 0, 0,
             AdmissionBound::kFree},
        Case{"ReservePastFree", Policy(Kind::kShare, 0.70, 2000), 1000, 0, 0, 0,
             AdmissionBound::kFree},
        Case{"AllocatedByOthersThanModels", Policy(Kind::kShare, 0.70), 500, 0, 300, 350,
             AdmissionBound::kShare},
        Case{"RoundsDown", Policy(Kind::kShare, 0.70), 999, 0, 0, 699, AdmissionBound::kShare},
        Case{"NineDecimalPlaces", Policy(Kind::kShare, 0.333333333), 1'000'000'000, 0, 0,
             333'333'333, AdmissionBound::kShare},
        // Past 2^53, where doubles skip numbers: 0.7 * 9007199254740993 = 6305039478318695.1.
        Case{"ExactPastDoublePrecision", Policy(Kind::kShare, 0.70), 9'007'199'254'740'993, 0, 0,
             6'305'039'478'318'695, AdmissionBound::kShare},
        Case{"LargestNumbersDoNotWrap", Policy(Kind::kShare, 0.5), kMax, kMax, kMax, 0,
             AdmissionBound::kShare},
        Case{"LargestFree", Policy(Kind::kIncremental, 1.0), kMax, 0, 0, kMax,
             AdmissionBound::kFree}),
    [](const auto& test) { return test.param.name; });

// Fills the device three times with the largest plan admitted; returns what is left to others.
uint64_t FreeAfterThreeLoads(Kind kind, uint64_t total) {
  uint64_t own = 0;
  for (int i = 0; i < 3; ++i)
    own += DecideAdmission(Policy(kind, 0.70), Reading(total - own), own, own, 0).available_bytes;
  return total - own;
}

TEST(AdmissionTest, ThreeLoadsLeaveOthers2Point7PercentUnderIncrementalAnd30UnderShare) {
  EXPECT_EQ(FreeAfterThreeLoads(Kind::kIncremental, 1000 * kGiB), 27 * kGiB);
  EXPECT_EQ(FreeAfterThreeLoads(Kind::kShare, 1000 * kGiB), 300 * kGiB);
}

// A number of random magnitude, so that small and huge amounts meet.
uint64_t RandomBytes(std::mt19937_64& random) { return random() >> (random() % 64); }

TEST(AdmissionTest, AdmitsExactlyThePlansUpToAvailable) {
  constexpr uint64_t kSeed = 20240607;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 20000; ++i) {
    AdmissionPolicy policy;
    policy.kind = random() % 2 == 0 ? Kind::kShare : Kind::kIncremental;
    policy.free_fraction = static_cast<double>(random() % 1000 + 1) / 1000.0;
    if (random() % 2 == 0) policy.reserve_bytes = RandomBytes(random);
    if (random() % 4 == 0) policy.cap_bytes = RandomBytes(random);
    const MemoryReading reading = Reading(RandomBytes(random));
    const uint64_t reserved = RandomBytes(random);
    const uint64_t allocated = random() % 2 == 0 ? reserved : RandomBytes(random) % (reserved + 1);
    const uint64_t available =
        DecideAdmission(policy, reading, reserved, allocated, 0).available_bytes;
    for (const uint64_t plan : {available, available + 1, available - 1, RandomBytes(random)}) {
      const AdmissionDecision decision =
          DecideAdmission(policy, reading, reserved, allocated, plan);
      ASSERT_EQ(decision.admitted, plan <= available) << plan << " of " << available;
      ASSERT_EQ(decision.available_bytes, available);
    }
    // What stays free after the largest plan: the reserve, and never less than nothing.
    ASSERT_LE(available, reading.free_bytes);
    ASSERT_TRUE(available == 0 || reading.free_bytes - available >= policy.reserve_bytes);
  }
}

TEST(AdmissionTest, ShareKeepsItsMarginOverAnySequenceOfLoads) {
  constexpr uint64_t kSeed = 7;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 200; ++round) {
    const uint64_t total = kGiB + random() % (64 * kGiB);
    uint64_t own = 0;
    for (int load = 0; load < 20; ++load) {
      const uint64_t plan = random() % (total / 4) + 1;
      if (DecideAdmission(Policy(Kind::kShare, 0.70), Reading(total - own), own, own, plan)
              .admitted)
        own += plan;
      ASSERT_LE(own, total / 10 * 7 + 7) << "of " << total;
    }
  }
}

TEST(AdmissionTest, RefusalCarriesEveryNumber) {
  const AdmissionPolicy policy = Policy(Kind::kShare, 0.70, 50, 10000);
  const AdmissionDecision decision =
      DecideAdmission(policy, Reading(1000, 2000), 300, 100, 5000);  // 200 promised
  ASSERT_FALSE(decision.admitted);
  const Status status = RefusalStatus(decision, policy, "hip:0");
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.reason(), "GPU_BUDGET_EXCEEDED");
  EXPECT_EQ(Detail(status, "device"), "hip:0");
  EXPECT_EQ(Detail(status, "requestedBytes"), "5000");
  EXPECT_EQ(Detail(status, "availableBytes"), "420");  // 0.7 * (800 + 300) - 50 - 300
  EXPECT_EQ(Detail(status, "ownBytes"), "300");
  EXPECT_EQ(Detail(status, "freeBytes"), "800");
  EXPECT_EQ(Detail(status, "totalBytes"), "2000");
  EXPECT_EQ(Detail(status, "bound"), "share");
  EXPECT_EQ(Detail(status, "policy"), "share");
  EXPECT_EQ(Detail(status, "freeFraction"), "0.7");
  EXPECT_EQ(Detail(status, "reserveBytes"), "50");
  EXPECT_EQ(Detail(status, "capBytes"), "10000");
  for (const auto& [key, value] : status.details()) {
    if (key == "capBytes") continue;  // it did not bind
    const bool is_size = key.ends_with("Bytes");
    const std::string shown = is_size ? ByteText(std::stoull(value)) : value;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(shown)) << key;
  }
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("unload another model"));
}

TEST(AdmissionTest, RefusalAsksNobodyToUnloadWhatIsNotThere) {
  const AdmissionPolicy policy;
  const Status status =
      RefusalStatus(DecideAdmission(policy, Reading(1000), 0, 0, 900), policy, "");
  EXPECT_THAT(std::string(status.message()), ::testing::Not(::testing::HasSubstr("unload")));
}

TEST(AdmissionTest, RefusalShowsTheFormulaOfTheBound) {
  const auto message = [](const AdmissionPolicy& policy, uint64_t own) {
    const AdmissionDecision decision = DecideAdmission(policy, Reading(1000), own, own, 5000);
    return std::string(RefusalStatus(decision, policy, "cpu").message());
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message(Policy(Kind::kShare, 0.70, 5), 10),
              HasSubstr("0.7 * (1000 B free + 10 B own) - 10 B own - 5 B reserve"));
  EXPECT_THAT(message(Policy(Kind::kIncremental, 0.25), 10), HasSubstr("(0.25 * 1000 B free)"));
  EXPECT_THAT(message(Policy(Kind::kShare, 0.70, 0, 99), 10), HasSubstr("(99 B cap - 10 B own)"));
  EXPECT_THAT(message(Policy(Kind::kShare, 1.0, 5), 10), HasSubstr("(1000 B free - 5 B reserve)"));
}

}  // namespace
}  // namespace forge
