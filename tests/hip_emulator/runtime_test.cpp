#include <chrono>
#include <fstream>
#include <thread>

#include "tests/hip_emulator/emulator_fixture.h"

namespace forge::emulator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr size_t kMiB = 1 << 20;

class RuntimeTest : public EmulatorTest {
 protected:
  static size_t RuntimeFree() {
    size_t free = 0, total = 0;
    EXPECT_EQ(hipMemGetInfo(&free, &total), hipSuccess);
    EXPECT_EQ(total, 64 * kMiB);
    return free;
  }
  static uint64_t DriverUsed() {
    std::ifstream file(SystemRoot() / "sys/class/drm/renderD128/device/mem_info_vram_used");
    uint64_t bytes = 0;
    EXPECT_TRUE(file >> bytes);
    return bytes;
  }
};

TEST_F(RuntimeTest, CountsWhatIsAllocatedInBothReadings) {
  void* data = nullptr;
  ASSERT_EQ(hipMalloc(&data, 10 * kMiB), hipSuccess);
  EXPECT_EQ(RuntimeFree(), 54 * kMiB);
  EXPECT_EQ(DriverUsed(), 10 * kMiB);
  EXPECT_EQ(HeldBytes(0), 10 * kMiB);
  EXPECT_EQ(hipMalloc(&data, 55 * kMiB), hipErrorOutOfMemory);
  EXPECT_EQ(data, nullptr);
}

TEST_F(RuntimeTest, ForeignUsageIsSeenByTheDriverAndByHipMallocOnly) {
  SetForeignBytes(0, 60 * kMiB);
  EXPECT_EQ(RuntimeFree(), 64 * kMiB);
  EXPECT_EQ(DriverUsed(), 60 * kMiB);
  void* data = nullptr;
  EXPECT_EQ(hipMalloc(&data, 5 * kMiB), hipErrorOutOfMemory);
  EXPECT_EQ(hipMalloc(&data, 4 * kMiB), hipSuccess);
}

TEST_F(RuntimeTest, FreedMemoryShowsLateInTheDriversFigure) {
  SetFreeLag(0, 2);
  int* const data = Allocate<int>(kMiB);
  ASSERT_EQ(hipFree(data), hipSuccess);
  EXPECT_EQ(RuntimeFree(), 64 * kMiB);
  EXPECT_EQ(DriverUsed(), 4 * kMiB);
  RuntimeFree();
  EXPECT_EQ(DriverUsed(), 4 * kMiB);
  RuntimeFree();
  EXPECT_EQ(DriverUsed(), 0u);
}

TEST_F(RuntimeTest, TheNthCallFailsOnceOrForEver) {
  FailCalls("hipMalloc", {.error = hipErrorOutOfMemory, .after = 1});
  void* data = nullptr;
  EXPECT_EQ(hipMalloc(&data, 64), hipSuccess);
  EXPECT_EQ(hipMalloc(&data, 64), hipErrorOutOfMemory);
  EXPECT_EQ(hipGetLastError(), hipErrorOutOfMemory);
  EXPECT_EQ(hipGetLastError(), hipSuccess);
  EXPECT_EQ(hipMalloc(&data, 64), hipSuccess);
  EXPECT_EQ(Calls("hipMalloc"), 3u);
  FailCalls("hipMalloc", {.error = hipErrorOutOfMemory, .forever = true});
  EXPECT_EQ(hipMalloc(&data, 64), hipErrorOutOfMemory);
  EXPECT_EQ(hipMalloc(&data, 64), hipErrorOutOfMemory);
}

TEST_F(RuntimeTest, AKernelThatIsSetToFailLosesTheDeviceWhenItRuns) {
  FailCalls("second", {.error = hipErrorLaunchFailure});
  EXPECT_EQ(Run("first", 1, 32, [] {}), hipSuccess);
  EXPECT_EQ(Run("second", 1, 32, [] {}), hipErrorLaunchFailure);
  EXPECT_EQ(Run("first", 1, 32, [] {}), hipErrorLaunchFailure);
}

TEST_F(RuntimeTest, WorkOfAStreamRunsInOrderAndAfterTheCall) {
  SetCopyRate(0, 16 * kMiB);
  std::vector<int> values(kMiB, 1);
  int* const data = Allocate<int>(kMiB);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(hipMemcpyAsync(data, values.data(), 4 * kMiB, hipMemcpyHostToDevice, stream_),
            hipSuccess);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 200ms);
  EXPECT_EQ(hipStreamQuery(stream_), hipErrorNotReady);
  EXPECT_EQ(Run("twice", kMiB / 256, 256, [=] { data[blockIdx.x * 256 + threadIdx.x] *= 2; }),
            hipSuccess);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 250ms);  // 4 MiB at 16 MiB/s
  SetCopyRate(0, 0);
  EXPECT_EQ(ToHost(data, kMiB), std::vector<int>(kMiB, 2));
}

TEST_F(RuntimeTest, HostMemoryThatIsReusedTooEarlyShows) {
  SetCopyRate(0, kMiB);
  std::vector<int> values(kMiB / 16, 1);
  int* const data = Allocate<int>(values.size());
  ASSERT_EQ(hipMemcpyAsync(data, values.data(), values.size() * sizeof(int), hipMemcpyHostToDevice,
                           stream_),
            hipSuccess);
  values.assign(values.size(), 2);  // before the copy is done
  SetCopyRate(0, 0);
  EXPECT_EQ(ToHost(data, values.size()), values);
}

TEST_F(RuntimeTest, StreamsWaitForEventsOfOthers) {
  hipStream_t other = nullptr;
  hipEvent_t event = nullptr;
  ASSERT_EQ(hipStreamCreateWithFlags(&other, hipStreamNonBlocking), hipSuccess);
  ASSERT_EQ(hipEventCreateWithFlags(&event, hipEventDisableTiming), hipSuccess);
  int* const data = OnDevice(std::vector<int>{0});
  Launch("slow", 1, 32, 0, stream_, [=] {
    if (threadIdx.x == 0) std::this_thread::sleep_for(100ms);
    if (threadIdx.x == 0) *data = 5;
  });
  ASSERT_EQ(hipEventRecord(event, stream_), hipSuccess);
  EXPECT_EQ(hipEventQuery(event), hipErrorNotReady);
  ASSERT_EQ(hipStreamWaitEvent(other, event, 0), hipSuccess);
  Launch("after", 1, 32, 0, other, [=] {
    if (threadIdx.x == 0) *data *= 3;
  });
  EXPECT_EQ(hipStreamSynchronize(other), hipSuccess);
  EXPECT_EQ(hipEventSynchronize(event), hipSuccess);
  EXPECT_THAT(ToHost(data, 1), ElementsAre(15));
  EXPECT_EQ(hipEventDestroy(event), hipSuccess);
  EXPECT_EQ(hipStreamDestroy(other), hipSuccess);
}

TEST_F(RuntimeTest, CopiesBeyondAnAllocationAreRefused) {
  std::vector<int> host(65);
  int* const data = Allocate<int>(64);
  EXPECT_EQ(hipMemcpyAsync(data, host.data(), 65 * 4, hipMemcpyHostToDevice, stream_),
            hipErrorInvalidValue);
  EXPECT_EQ(hipMemcpyAsync(host.data(), data + 1, 64 * 4, hipMemcpyDeviceToHost, stream_),
            hipErrorInvalidValue);
  EXPECT_EQ(hipMemcpyAsync(host.data(), host.data(), 4, hipMemcpyHostToDevice, stream_),
            hipErrorInvalidValue);
  EXPECT_EQ(hipMemcpyAsync(data, data, 4, hipMemcpyHostToDevice, stream_), hipErrorInvalidValue);
  EXPECT_EQ(TakeFaults().size(), 4u);
}

TEST_F(RuntimeTest, OffsetsOfCopiesCanBeBroken) {
  int* const data = OnDevice(std::vector<int>{1, 2, 3});
  BreakOffsetCopies(0, true);
  EXPECT_THAT(ToHost(data + 1, 2), ElementsAre(1, 2));
  EXPECT_THAT(ToHost(data, 3), ElementsAre(1, 2, 3));
}

TEST_F(RuntimeTest, AHungLaunchIsNeverReadyUntilReset) {
  HangAtLaunch(0, 1);
  EXPECT_EQ(Run("first", 1, 32, [] {}), hipSuccess);
  Launch("second", 1, 32, 0, stream_, [] {});
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(hipStreamQuery(stream_), hipErrorNotReady);
  Start({});
  EXPECT_EQ(Run("first", 1, 32, [] {}), hipSuccess);
}

TEST_F(RuntimeTest, ADeviceThatIsLostFailsEveryCallAndDropsItsWork) {
  int* const data = OnDevice(std::vector<int>{0});
  LoseDeviceAtLaunch(0, 1);
  EXPECT_EQ(Run("first", 1, 32, [] {}), hipSuccess);
  Launch("second", 1, 32, 0, stream_, [] {});
  Launch("third", 1, 32, 0, stream_, [=] { *data = 1; });
  EXPECT_EQ(hipStreamSynchronize(stream_), hipErrorUnknown);
  EXPECT_EQ(hipFree(data), hipErrorUnknown);
}

TEST_F(RuntimeTest, AStreamIsUsedByThreadsThatHaveChosenItsDevice) {
  Reset({DeviceSettings(), DeviceSettings()});
  int count = 0;
  ASSERT_EQ(hipGetDeviceCount(&count), hipSuccess);
  EXPECT_EQ(count, 2);
  ASSERT_EQ(hipSetDevice(1), hipSuccess);
  ASSERT_EQ(hipStreamCreateWithFlags(&stream_, hipStreamNonBlocking), hipSuccess);
  EXPECT_EQ(Run("here", 1, 32, [] {}), hipSuccess);
  hipError_t elsewhere = hipSuccess;
  std::thread([&] { elsewhere = Run("there", 1, 32, [] {}); }).join();  // chooses device 0
  EXPECT_EQ(elsewhere, hipErrorInvalidConfiguration);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("a stream of device 1")));
  EXPECT_EQ(hipSetDevice(2), hipErrorInvalidDevice);
  hipSetDevice(0);
}

TEST_F(RuntimeTest, FreeingWhatWasNotAllocatedIsReported) {
  int local = 0;
  EXPECT_EQ(hipFree(&local), hipErrorInvalidValue);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("did not allocate")));
  EXPECT_EQ(hipFree(nullptr), hipSuccess);
  EXPECT_THAT(TakeFaults(), IsEmpty());
}

TEST_F(RuntimeTest, AMachineMayHaveNoDevice) {
  Reset({});
  int count = 5;
  EXPECT_EQ(hipGetDeviceCount(&count), hipErrorNoDevice);
  EXPECT_EQ(count, 0);
  void* data = nullptr;
  EXPECT_EQ(hipMalloc(&data, 64), hipErrorNoDevice);
}

}  // namespace
}  // namespace forge::emulator
