// Groups of launches, and the graphs that are made of those that come again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/hip/hip_device.h"
#include "tests/hip_emulator/control.h"

namespace forge::testing {
namespace {

using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr int kNumbers = 64;
constexpr std::chrono::milliseconds kHangLimit = 300ms;

class HipGraphTest : public ::testing::Test {
 protected:
  void SetUp() override { Open({.hang_limit = kHangLimit}); }
  void TearDown() override {
    Close();
    EXPECT_THAT(emulator::TakeFaults(), IsEmpty());
    emulator::Reset();
  }
  void Open(const HipDeviceOptions& options) {
    Close();
    emulator::Reset();
    device_ = CreateHipDevice(options).value();
    stream_ = device_->CreateStream().value();
    for (float*& array : arrays_)
      array = static_cast<float*>(device_->Allocate(kNumbers * sizeof(float)).value());
    Fill(100.0f);
  }
  void Close() {
    stream_.reset();
    for (float*& array : arrays_)
      if (array != nullptr) device_->Free(std::exchange(array, nullptr), kNumbers * sizeof(float));
    device_.reset();
  }

  void Fill(float value) {
    const std::vector<float> values(kNumbers, value);
    ASSERT_TRUE(
        device_->CopyIn(arrays_[0], values.data(), kNumbers * sizeof(float), *stream_).ok());
    ASSERT_TRUE(stream_->Synchronize().ok());
  }
  Status Cap(const float* from, float* to, float cap) {
    return device_->ops().soft_cap({.x = from, .y = to, .n = kNumbers, .cap = cap}, *stream_);
  }
  // to = from + weight, since the numbers of `from` are the same and so normalised to 1.
  Status AddNormed(const float* from, const float* weight, float* to) {
    return device_->ops().rms_norm(
        {.x = from, .weight = weight, .residual = from, .y = to, .n_rows = 1, .dim = kNumbers},
        *stream_);
  }
  // arrays_[1] = the number capped by each of `caps`, one after the other.
  void RunGroup(const std::vector<float>& caps) {
    stream_->BeginGroup();
    const float* from = arrays_[0];
    for (const float cap : caps) {
      ASSERT_TRUE(Cap(from, arrays_[1], cap).ok());
      from = arrays_[1];
    }
    ASSERT_TRUE(stream_->EndGroup().ok());
  }
  static float Capped(float value, const std::vector<float>& caps) {
    for (const float cap : caps) value = cap * std::tanh(value / cap);
    return value;
  }
  float Fetch(const float* array) {
    std::vector<float> values(kNumbers);
    EXPECT_TRUE(device_->CopyOut(values.data(), array, kNumbers * sizeof(float), *stream_).ok());
    EXPECT_TRUE(stream_->Synchronize().ok());
    return values.back();
  }
  void ExpectRun(const std::vector<float>& caps) {
    RunGroup(caps);
    EXPECT_NEAR(Fetch(arrays_[1]), Capped(100.0f, caps), 1e-4);
  }
  static uint64_t GraphLaunches() { return emulator::Calls("hipGraphLaunch"); }
  static uint64_t GraphsMade() { return emulator::Calls("hipGraphInstantiateWithFlags"); }
  static uint64_t Updates() { return emulator::Calls("hipGraphExecKernelNodeSetParams"); }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  float* arrays_[3] = {};
};

TEST_F(HipGraphTest, AGroupIsLaunchedWhenItEndsAndAsAGraphWhenItComesAgain) {
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(round);
    ExpectRun({30.0f, 20.0f, 10.0f});
    EXPECT_EQ(GraphLaunches(), static_cast<uint64_t>(round));
  }
  EXPECT_EQ(GraphsMade(), 1u);
}

TEST_F(HipGraphTest, ArgumentsMayBeOthersEachTime) {
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(round);
    ExpectRun({30.0f, 20.0f + static_cast<float>(round), 10.0f});
  }
  EXPECT_EQ(GraphsMade(), 1u);
  EXPECT_GE(Updates(), 4u);  // the second launch's, from the third round on
  // So may the shape.
  const std::vector<float> before(kNumbers, -1.0f);
  ASSERT_TRUE(device_->CopyIn(arrays_[2], before.data(), kNumbers * sizeof(float), *stream_).ok());
  stream_->BeginGroup();
  for (float* const array : {arrays_[1], arrays_[1], arrays_[2]})
    ASSERT_TRUE(
        device_->ops()
            .soft_cap({.x = arrays_[0], .y = array, .n = kNumbers / 2, .cap = 5.0f}, *stream_)
            .ok());
  ASSERT_TRUE(stream_->EndGroup().ok());
  std::vector<float> after(kNumbers);
  ASSERT_TRUE(device_->CopyOut(after.data(), arrays_[2], kNumbers * sizeof(float), *stream_).ok());
  ASSERT_TRUE(stream_->Synchronize().ok());
  EXPECT_NEAR(after[kNumbers / 2 - 1], Capped(100.0f, {5.0f}), 1e-4);
  EXPECT_EQ(after[kNumbers / 2], -1.0f);
  EXPECT_EQ(GraphsMade(), 1u);
}

TEST_F(HipGraphTest, OtherKernelsAndOtherPlacesAreOtherGraphs) {
  for (int round = 0; round < 4; ++round) {
    RunGroup({30.0f, 20.0f});
    RunGroup({30.0f, 20.0f});  // the second of a step
    stream_->BeginGroup();
    ASSERT_TRUE(Cap(arrays_[1], arrays_[1], 7.0f).ok());
    ASSERT_TRUE(AddNormed(arrays_[1], arrays_[0], arrays_[2]).ok());
    ASSERT_TRUE(stream_->EndGroup().ok());
    const float capped = Capped(100.0f, {30.0f, 20.0f, 7.0f});
    EXPECT_NEAR(Fetch(arrays_[2]), capped + 100.0f, 1e-3);
  }
  EXPECT_EQ(GraphsMade(), 3u);
  EXPECT_EQ(GraphLaunches(), 9u);
}

TEST_F(HipGraphTest, LargeGroupsAreCut) {
  std::vector<float> caps;
  for (int i = 0; i < 150; ++i) caps.push_back(200.0f - static_cast<float>(i));
  for (int round = 0; round < 3; ++round) ExpectRun(caps);
  EXPECT_EQ(GraphsMade(), 3u);
  EXPECT_EQ(GraphLaunches(), 6u);
}

TEST_F(HipGraphTest, CopiesAndWaitsWithinAGroupComeInOrder) {
  for (int round = 0; round < 3; ++round) {
    stream_->BeginGroup();
    ASSERT_TRUE(Cap(arrays_[0], arrays_[1], 30.0f).ok());
    EXPECT_NEAR(Fetch(arrays_[1]), Capped(100.0f, {30.0f}), 1e-4);
    Fill(50.0f);
    ASSERT_TRUE(Cap(arrays_[0], arrays_[1], 30.0f).ok());
    ASSERT_TRUE(stream_->EndGroup().ok());
    EXPECT_NEAR(Fetch(arrays_[1]), Capped(50.0f, {30.0f}), 1e-4);
    Fill(100.0f);
  }
}

TEST_F(HipGraphTest, AnEmptyGroupIsNoWork) {
  const uint64_t before = emulator::Launches(0);
  stream_->BeginGroup();
  EXPECT_TRUE(stream_->EndGroup().ok());
  EXPECT_EQ(emulator::Launches(0), before);
}

TEST_F(HipGraphTest, ALaunchThatIsRefusedIsNamedWhenItsGroupEnds) {
  emulator::FailCalls("launch", {.error = hipErrorInvalidConfiguration});
  stream_->BeginGroup();
  EXPECT_TRUE(Cap(arrays_[0], arrays_[1], 30.0f).ok());
  const Status refused = stream_->EndGroup();
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("launch of kernel soft_cap"));
  ExpectRun({30.0f, 20.0f});
}

TEST_F(HipGraphTest, ARuntimeWithoutGraphsIsAskedOnce) {
  for (const char* function :
       {"hipGraphCreate", "hipGraphAddKernelNode", "hipGraphInstantiateWithFlags"}) {
    SCOPED_TRACE(function);
    Open({});
    const uint64_t before = emulator::Calls(function);
    emulator::FailCalls(function, {.error = hipErrorNotSupported, .forever = true});
    for (int round = 0; round < 5; ++round) ExpectRun({30.0f, 20.0f});
    EXPECT_EQ(emulator::Calls(function), before + 1);
    EXPECT_EQ(GraphLaunches(), 0u);
  }
}

TEST_F(HipGraphTest, AGraphThatCannotBeUpdatedIsGivenUp) {
  ExpectRun({30.0f, 20.0f});
  ExpectRun({30.0f, 20.0f});
  emulator::FailCalls("hipGraphExecKernelNodeSetParams", {.error = hipErrorNotSupported});
  for (int round = 0; round < 3; ++round) ExpectRun({30.0f, 21.0f});
  EXPECT_EQ(GraphLaunches(), 1u);
}

TEST_F(HipGraphTest, AGraphWithMostlyOtherArgumentsIsNotBroughtUpToDate) {
  ExpectRun({30.0f, 20.0f, 10.0f});
  ExpectRun({30.0f, 20.0f, 10.0f});
  ExpectRun({30.0f, 21.0f, 11.0f});
  EXPECT_EQ(Updates(), 0u);
  EXPECT_EQ(GraphLaunches(), 1u);
  ExpectRun({30.0f, 20.0f, 10.0f});  // it is still as it was
  EXPECT_EQ(GraphLaunches(), 2u);
}

TEST_F(HipGraphTest, AGraphIsMadeAnewAfterManyUpdates) {
  for (int round = 0; round < 100; ++round)
    ExpectRun({30.0f, 20.0f + static_cast<float>(round), 10.0f});
  EXPECT_GE(GraphsMade(), 4u);
  EXPECT_LE(GraphsMade(), 6u);
  EXPECT_EQ(GraphLaunches(), 99u);
}

TEST_F(HipGraphTest, AGraphThatCannotBeLaunchedIsGivenUp) {
  ExpectRun({30.0f, 20.0f});
  ExpectRun({30.0f, 20.0f});
  emulator::FailCalls("hipGraphLaunch", {.error = hipErrorNotSupported});
  for (int round = 0; round < 3; ++round) ExpectRun({30.0f, 20.0f});
  EXPECT_EQ(GraphLaunches(), 2u);
}

TEST_F(HipGraphTest, GraphsCanBeSwitchedOff) {
  Open({.uses_graphs = false});
  for (int round = 0; round < 3; ++round) ExpectRun({30.0f, 20.0f});
  EXPECT_EQ(GraphsMade(), 0u);
}

TEST_F(HipGraphTest, AFaultInAGraphLosesTheDevice) {
  ExpectRun({30.0f, 20.0f});
  ExpectRun({30.0f, 20.0f});
  emulator::LoseDeviceAtLaunch(0, 1);
  stream_->BeginGroup();
  EXPECT_TRUE(Cap(arrays_[0], arrays_[1], 30.0f).ok());
  EXPECT_TRUE(Cap(arrays_[1], arrays_[1], 20.0f).ok());
  static_cast<void>(stream_->EndGroup());  // shows the fault if it has happened by then
  EXPECT_EQ(stream_->Synchronize().reason(), "DEVICE_LOST");
  stream_->BeginGroup();
  EXPECT_TRUE(Cap(arrays_[0], arrays_[1], 30.0f).ok());  // held back
  EXPECT_EQ(stream_->EndGroup().reason(), "DEVICE_LOST");
  Close();
  static_cast<void>(emulator::TakeFaults());
}

TEST_F(HipGraphTest, AHangInAGraphLosesTheDeviceWithinTheLimit) {
  ExpectRun({30.0f, 20.0f});
  ExpectRun({30.0f, 20.0f});
  emulator::HangAtLaunch(0, 1);
  RunGroup({30.0f, 20.0f});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(stream_->Synchronize().reason(), "DEVICE_LOST");
  EXPECT_LT(std::chrono::steady_clock::now() - start, kHangLimit + 1s);
}

}  // namespace
}  // namespace forge::testing
