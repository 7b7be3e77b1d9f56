#include "tests/daemon/residency_simulator.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>
#include <string>

namespace forge::testing {
namespace {

// 10^7 steps in all with FORGE_SIMULATOR_STEPS=2500000.
uint64_t StepsPerWorld() {
  const char* const steps = std::getenv("FORGE_SIMULATOR_STEPS");
  return steps != nullptr ? std::stoull(steps) : 150'000;
}

struct World {
  const char* name;
  ResidencySimulator::Options options;
};
void PrintTo(const World& world, std::ostream* out) { *out << world.name; }

AdmissionPolicy Capped(uint64_t bytes) {
  AdmissionPolicy policy;
  policy.cap_bytes = bytes;
  policy.reserve_bytes = 500;
  return policy;
}

const World kWorlds[] = {
    {"Share", {.seed = 1}},
    {"Incremental", {.seed = 2, .memory = {.kind = AdmissionPolicy::Kind::kIncremental}}},
    {"CappedWithLag",
     {.seed = 3, .memory = Capped(14'000), .reading_lag = std::chrono::milliseconds(400)}},
    {"ShareWithLagAndPressure",
     {.seed = 4, .reading_lag = std::chrono::milliseconds(900), .has_pressure_marks = true}},
};

class ResidencySimulatorTest : public ::testing::TestWithParam<World> {};

TEST_P(ResidencySimulatorTest, KeepsEveryPromiseInARandomWorld) {
  SCOPED_TRACE(GetParam().options.seed);
  ResidencySimulator world(GetParam().options);
  EXPECT_EQ(world.Run(StepsPerWorld()), "");
  EXPECT_LE(world.longest_wait(), world.wait_bound());
  // It was no idle world.
  EXPECT_GT(world.n_evictions(), StepsPerWorld() / 1000);
  EXPECT_GT(world.n_failed_loads(), StepsPerWorld() / 2000);
  EXPECT_GT(world.Count(ResidencyAction::Kind::kGrant), StepsPerWorld() / 20);
  EXPECT_GT(world.Count(ResidencyAction::Kind::kRefuse), StepsPerWorld() / 1000);
  RecordProperty("longest_wait_ms", std::to_string(world.longest_wait().count()));
  RecordProperty("evictions", std::to_string(world.n_evictions()));
}

TEST_P(ResidencySimulatorTest, DoesTheSameAgainWithTheSameSeed) {
  ResidencySimulator first(GetParam().options), second(GetParam().options);
  EXPECT_EQ(first.Run(20'000), "");
  EXPECT_EQ(second.Run(20'000), "");
  EXPECT_EQ(first.log_hash(), second.log_hash());
  ResidencySimulator::Options other = GetParam().options;
  other.seed += 1000;
  ResidencySimulator third(other);
  EXPECT_EQ(third.Run(20'000), "");
  EXPECT_NE(first.log_hash(), third.log_hash());
}

INSTANTIATE_TEST_SUITE_P(Worlds, ResidencySimulatorTest, ::testing::ValuesIn(kWorlds),
                         [](const auto& p) { return std::string(p.param.name); });

}  // namespace
}  // namespace forge::testing
