#include "daemon/residency/device_choice.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

using Kind = ResidencyDecision::Kind;

DeviceCandidate Cpu(Kind kind, double cost = 0) {
  DeviceCandidate candidate{.is_cpu = true};
  candidate.decision.kind = kind;
  candidate.decision.eviction_cost = cost;
  return candidate;
}
DeviceCandidate Gpu(Kind kind, double cost = 0) {
  DeviceCandidate candidate = Cpu(kind, cost);
  candidate.is_cpu = false;
  return candidate;
}
DeviceCandidate Paused(DeviceCandidate candidate) {
  candidate.is_paused = true;
  return candidate;
}

size_t Choose(const std::vector<DeviceCandidate>& candidates) { return ChooseDevice(candidates); }

TEST(DeviceChoiceTest, TakesWhereTheModelFitsWithoutEviction) {
  EXPECT_EQ(Choose({Cpu(Kind::kAdmit), Gpu(Kind::kEvict)}), 0u);
  EXPECT_EQ(Choose({Gpu(Kind::kWait), Gpu(Kind::kEvict), Gpu(Kind::kAdmit)}), 2u);
}

TEST(DeviceChoiceTest, PrefersAGpuToTheCpu) {
  EXPECT_EQ(Choose({Cpu(Kind::kAdmit), Gpu(Kind::kAdmit)}), 1u);
  EXPECT_EQ(Choose({Cpu(Kind::kEvict, 1), Gpu(Kind::kEvict, 9)}), 1u);
  EXPECT_EQ(Choose({Cpu(Kind::kEvict), Gpu(Kind::kRefuse)}), 0u) << "where it can be at all";
}

TEST(DeviceChoiceTest, ThenTheCheapestEviction) {
  EXPECT_EQ(Choose({Gpu(Kind::kEvict, 5), Gpu(Kind::kEvict, 2), Gpu(Kind::kEvict, 3)}), 1u);
  EXPECT_EQ(Choose({Gpu(Kind::kWait, 1), Gpu(Kind::kEvict, 7)}), 1u);
  EXPECT_EQ(Choose({Gpu(Kind::kAdmit), Gpu(Kind::kAdmit)}), 0u) << "else the first";
}

TEST(DeviceChoiceTest, ADeviceUnderPressureLoadsNothingNow) {
  EXPECT_EQ(Choose({Paused(Gpu(Kind::kAdmit)), Cpu(Kind::kAdmit)}), 1u);
  EXPECT_EQ(Choose({Paused(Gpu(Kind::kAdmit)), Gpu(Kind::kEvict, 4)}), 1u);
}

TEST(DeviceChoiceTest, WithNowhereToGoTheFirstGpuTellsWhy) {
  EXPECT_EQ(Choose({Cpu(Kind::kRefuse), Gpu(Kind::kRefuse)}), 1u);
}

}  // namespace
}  // namespace forge
