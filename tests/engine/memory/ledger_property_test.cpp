#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/memory/arena.h"
#include "engine/memory/ledger.h"
#include "tests/engine/memory/memory_only_device.h"

// The ledger against a model of it that is a few additions: whatever is done in whatever order, it
// promises what the policy allows, and no byte more or less.
namespace forge {
namespace {

using testing::MemoryOnlyDevice;

// FORGE_LEDGER_COMMANDS=1000000 FORGE_LEDGER_SEEDS=100 is the long run.
uint64_t FromEnvironment(const char* name, uint64_t usual) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : usual;
}

constexpr uint64_t kTotalBytes = 1'000'000;

// Runs random commands on a ledger, and keeps what must be true beside it.
class Machine {
 public:
  explicit Machine(uint64_t seed)
      : random_(seed), policy_(RandomPolicy()), device_(kTotalBytes), ledger_(device_, policy_) {}

  void Run(uint64_t n_commands) {
    for (uint64_t i = 0; i < n_commands && !::testing::Test::HasFatalFailure(); ++i) {
      SCOPED_TRACE("command " + std::to_string(i));
      Step();
      Check();
    }
    claims_.clear();
    arenas_.clear();
    Check();
    EXPECT_EQ(ledger_.reserved_bytes(), 0u);
    EXPECT_GT(n_admitted_, n_commands / 20);
    EXPECT_GT(n_refused_, n_commands / 50);
    EXPECT_GT(n_broken_, 0u);
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }

  AdmissionPolicy RandomPolicy() {
    percent_ = 30 + Below(71);
    AdmissionPolicy policy;
    policy.kind =
        Below(2) == 0 ? AdmissionPolicy::Kind::kShare : AdmissionPolicy::Kind::kIncremental;
    policy.free_fraction = static_cast<double>(percent_) / 100.0;
    if (Below(2) == 0) policy.reserve_bytes = Below(kTotalBytes / 8);
    if (Below(3) == 0) policy.cap_bytes = kTotalBytes / 4 + Below(kTotalBytes / 2);
    return policy;
  }

  void Step() {
    switch (Below(8)) {
      case 0:
      case 1:
      case 2:
        return Admit();
      case 3:
        return Split();
      case 4:
        return Allocate();
      case 5:
        return Drop(claims_);
      case 6:
        return Drop(arenas_);
      default:
        foreign_bytes_ = Below(kTotalBytes / 2);
        return device_.SetForeignBytes(foreign_bytes_);
    }
  }

  void Admit() {
    const uint64_t bytes = 1 + Below(Below(4) == 0 ? kTotalBytes : kTotalBytes / 10);
    const uint64_t available = AvailableBytes();
    Result<Reservation> claim = ledger_.Admit(bytes);
    ASSERT_EQ(claim.ok(), bytes <= available) << bytes << " of " << available;
    if (!claim.ok()) {
      ++n_refused_;
      ASSERT_EQ(claim.status().reason(), "GPU_BUDGET_EXCEEDED");
      return;
    }
    ++n_admitted_;
    ASSERT_EQ(claim->bytes(), bytes);
    claims_.push_back(*std::move(claim));
  }

  void Split() {
    if (claims_.empty()) return;
    Reservation& claim = claims_[Below(claims_.size())];
    if (claim.bytes() < 2) return;
    claims_.push_back(claim.Split(1 + Below(claim.bytes() - 1)));
  }

  void Allocate() {
    if (claims_.empty()) return;
    std::swap(claims_[Below(claims_.size())], claims_.back());
    const bool breaks = Below(10) == 0;
    if (breaks) device_.FailAllocation(1, /*for_ever=*/false);
    Result<Arena> arena = Arena::Create(device_, std::move(claims_.back()));
    claims_.pop_back();
    // Others may have taken the memory meanwhile, too; the claim is given back either way.
    if (arena.ok()) {
      ASSERT_FALSE(breaks);
      arenas_.push_back(*std::move(arena));
    } else {
      ++n_broken_;
    }
  }

  template <typename T>
  void Drop(std::vector<T>& things) {
    if (things.empty()) return;
    std::swap(things[Below(things.size())], things.back());
    things.pop_back();
  }

  uint64_t AllocatedBytes() const {
    uint64_t bytes = 0;
    for (const Arena& arena : arenas_) bytes += arena.size_bytes();
    return bytes;
  }
  uint64_t OwnBytes() const {
    uint64_t bytes = AllocatedBytes();
    for (const Reservation& claim : claims_) bytes += claim.bytes();
    return bytes;
  }

  // The formulas of docs/memory-policy.md, in plain arithmetic that cannot go below zero.
  uint64_t AvailableBytes() const {
    const auto own = static_cast<int64_t>(OwnBytes());
    const auto allocated = static_cast<int64_t>(AllocatedBytes());
    const int64_t shown = std::max<int64_t>(
        0, static_cast<int64_t>(kTotalBytes - std::min(kTotalBytes, foreign_bytes_)) - allocated);
    const int64_t free = std::max<int64_t>(0, shown - (own - allocated));
    const auto reserve = static_cast<int64_t>(policy_.reserve_bytes);
    const auto percent = static_cast<int64_t>(percent_);
    int64_t available = policy_.kind == AdmissionPolicy::Kind::kShare
                            ? percent * (free + own) / 100 - reserve - own
                            : percent * free / 100 - reserve;
    available = std::min(available, free - reserve);
    if (policy_.cap_bytes)
      available = std::min(available, static_cast<int64_t>(*policy_.cap_bytes) - own);
    return static_cast<uint64_t>(std::max<int64_t>(0, available));
  }

  void Check() {
    ASSERT_EQ(ledger_.reserved_bytes(), OwnBytes());
    ASSERT_EQ(device_.allocation_count().bytes, AllocatedBytes());
    ASSERT_EQ(device_.allocation_count().allocations, arenas_.size());
    const Result<AdmissionDecision> preview = ledger_.Preview(1);
    ASSERT_TRUE(preview.ok());
    ASSERT_EQ(preview->available_bytes, AvailableBytes());
  }

  std::mt19937_64 random_;
  uint64_t percent_ = 0;
  const AdmissionPolicy policy_;
  MemoryOnlyDevice device_;
  Ledger ledger_;
  std::vector<Reservation> claims_;
  std::vector<Arena> arenas_;
  uint64_t foreign_bytes_ = 0;
  uint64_t n_admitted_ = 0, n_refused_ = 0, n_broken_ = 0;
};

TEST(LedgerPropertyTest, PromisesWhatThePolicyAllowsWhateverIsDone) {
  const uint64_t n_seeds = FromEnvironment("FORGE_LEDGER_SEEDS", 10);
  const uint64_t n_commands = FromEnvironment("FORGE_LEDGER_COMMANDS", 10'000);
  for (uint64_t seed = 1; seed <= n_seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Machine(seed).Run(n_commands);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace forge
