#include <cmath>

#include "tests/hip_emulator/emulator_fixture.h"

namespace forge::emulator {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using FaultTest = EmulatorTest;

TEST_F(FaultTest, AReadPastTheEndNamesKernelBlockThreadAndDistance) {
  const int* const in = OnDevice(std::vector<int>(64));
  int* const out = Allocate<int>(128);
  EXPECT_EQ(Run("reader", 2, 64,
                [=] {
                  const unsigned i = blockIdx.x * 64 + threadIdx.x;
                  out[i] = in[i == 64 + 5 ? i : i % 64];
                }),
            hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(),
              ElementsAre(AllOf(HasSubstr("kernel reader, block (1, 0, 0), thread (5, 0, 0)"),
                                HasSubstr("20 bytes past the end of an allocation of 256 bytes"))));
}

TEST_F(FaultTest, TheFirstBytePastTheEndFaults) {
  char* const data = Allocate<char>(4096 + 64);
  EXPECT_EQ(Run("writer", 1, 32, [=] { data[4096 + 64] = 1; }), hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("0 bytes past the end")));
}

TEST_F(FaultTest, AReadBeforeTheBeginningOfAPageFaults) {
  const int* const data = OnDevice(std::vector<int>(1024));
  int* const out = Allocate<int>(1);
  EXPECT_EQ(Run("reader", 1, 32, [=] { *out = data[-1]; }), hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("4 bytes before an allocation")));
}

TEST_F(FaultTest, AWriteIntoTheAlignmentIsFoundWhenTheMemoryIsFreed) {
  char* const data = Allocate<char>(33);
  EXPECT_EQ(Run("writer", 1, 32, [=] { data[33] = 1; }), hipSuccess);
  EXPECT_EQ(hipFree(data), hipSuccess);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("33 bytes was written past its end")));
}

TEST_F(FaultTest, FreedMemoryFaults) {
  int* const data = OnDevice(std::vector<int>(16));
  ASSERT_EQ(hipFree(data), hipSuccess);
  EXPECT_EQ(Run("reader", 1, 32, [=] { data[3] = 1; }), hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("inside a freed allocation")));
}

TEST_F(FaultTest, ANullPointerFaults) {
  int* const data = reinterpret_cast<int*>(uintptr_t{64});  // as of a member behind null
  EXPECT_EQ(Run("reader", 1, 32, [=] { *const_cast<volatile int*>(data) = 1; }),
            hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("which is no memory of the device")));
}

TEST_F(FaultTest, SharedMemoryHasGuardsToo) {
  EXPECT_EQ(Run("shared", 1, 32,
                [] {
                  FORGE_SHARED(float, partial, 32);
                  partial[threadIdx.x + (threadIdx.x == 31 ? 1 : 0)] = 1.0f;
                }),
            hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(AllOf(HasSubstr("thread (31, 0, 0)"),
                                              HasSubstr("past the end of shared array partial"))));
}

TEST_F(FaultTest, DynamicSharedMemoryEndsWhereTheLaunchSays) {
  EXPECT_EQ(Run(
                "dynamic", 1, 32,
                [] {
                  FORGE_DYNAMIC_SHARED(float, scores);
                  scores[threadIdx.x] = 1.0f;
                },
                64),
            hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("0 bytes past the end of dynamic shared")));
}

TEST_F(FaultTest, MemoryThatNobodyWroteReadsAsNan) {
  float* const data = Allocate<float>(8);
  int* const shared_was_nan = OnDevice(std::vector<int>{0, 0});
  for (const float value : ToHost(data, 8)) EXPECT_TRUE(std::isnan(value));
  for (int i = 0; i < 2; ++i) {  // what an earlier block wrote is gone, too
    EXPECT_EQ(Run("shared", 1, 32,
                  [=] {
                    FORGE_SHARED(float, partial, 32);
                    if (threadIdx.x == 0 && std::isnan(partial[7])) ++shared_was_nan[i];
                    __syncthreads();
                    partial[threadIdx.x] = 1.0f;
                  }),
              hipSuccess);
  }
  EXPECT_THAT(ToHost(shared_was_nan, 2), ElementsAre(1, 1));
}

TEST_F(FaultTest, ABarrierThatOneThreadDoesNotReachIsReported) {
  EXPECT_EQ(Run("early_return", 1, 64,
                [] {
                  if (threadIdx.x == 40) return;
                  __syncthreads();
                }),
            hipErrorLaunchFailure);
  EXPECT_THAT(TakeFaults(), ElementsAre(AllOf(HasSubstr("kernel early_return, block (0, 0, 0)"),
                                              HasSubstr("thread (40, 0, 0) has returned"))));
}

TEST_F(FaultTest, ABarrierThatOneWaveDoesNotReachIsReported) {
  EXPECT_EQ(Run("wave_return", 1, 64,
                [] {
                  if (threadIdx.x >= 32) return;
                  __syncthreads();
                }),
            hipErrorLaunchFailure);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("thread (32, 0, 0) has returned")));
}

TEST_F(FaultTest, ThreadsAtDifferentBarriersAreReported) {
  const auto kernel = [] {  // not within EXPECT_EQ: all of a macro is on one line
    if (threadIdx.x < 32)
      __syncthreads();
    else
      __syncthreads();
  };
  EXPECT_EQ(Run("two_barriers", 1, 64, kernel), hipErrorLaunchFailure);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("threads diverge")));
}

TEST_F(FaultTest, AShuffleThatALaneDoesNotReachIsReported) {
  EXPECT_EQ(Run("half_wave", 1, 32,
                [] {
                  if (threadIdx.x < 16) ShuffleXor<16>(1, 1);
                }),
            hipErrorLaunchFailure);
  EXPECT_THAT(TakeFaults(), ElementsAre(AllOf(HasSubstr("thread (0, 0, 0) waits at the shuffle"),
                                              HasSubstr("thread (16, 0, 0) has returned"))));
}

TEST_F(FaultTest, GroupsWiderThanAWaveAreReported) {
  EXPECT_EQ(Run("wide", 1, 64, [] { ShuffleXor<64>(1, 32); }), hipErrorLaunchFailure);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("groups of 64 lanes on a device whose waves")));
}

// As a kernel without the sanitizer that would find it first.
[[gnu::no_sanitize("undefined")]] int Divide(int a, int b) { return a / b; }

TEST_F(FaultTest, DivisionByZeroIsReported) {
  int* const data = OnDevice(std::vector<int>{1, 0});
  EXPECT_EQ(Run("divide", 1, 32, [=] { data[0] = Divide(data[0], data[1]); }),
            hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("divides an integer by zero")));
}

int Recurse(volatile int* depth) {
  volatile char frame[1024];
  *depth = *depth + 1;
  frame[0] = static_cast<char>(*depth);
  return *depth > 0 ? Recurse(depth) + frame[0] : 0;
}

TEST_F(FaultTest, AStackThatOverflowsIsReported) {
  int* const depth = OnDevice(std::vector<int>{0});
  EXPECT_EQ(Run("recurse", 1, 32, [=] { Recurse(depth); }), hipErrorIllegalAddress);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("overflows its stack")));
}

TEST_F(FaultTest, MoreSharedMemoryThanABlockMayHaveIsReported) {
  Start({.memory_bytes = 1 << 20, .shared_bytes = 1024});
  EXPECT_EQ(Run("greedy", 1, 32,
                [] {
                  FORGE_SHARED(float, big, 300);
                  static_cast<void>(big);
                }),
            hipErrorLaunchFailure);
  EXPECT_THAT(TakeFaults(), ElementsAre(HasSubstr("1200 bytes of shared memory with array big")));
}

TEST_F(FaultTest, AFaultMakesTheDeviceUselessUntilReset) {
  int* const data = Allocate<int>(16);
  ASSERT_EQ(Run("writer", 1, 32, [=] { data[threadIdx.x] = 1; }), hipErrorIllegalAddress);
  void* more = nullptr;
  EXPECT_EQ(hipMalloc(&more, 64), hipErrorIllegalAddress);
  size_t free = 0, total = 0;
  EXPECT_EQ(hipMemGetInfo(&free, &total), hipErrorIllegalAddress);
  Start({});
  EXPECT_EQ(hipMalloc(&more, 64), hipSuccess);
}

TEST_F(FaultTest, OtherBlocksOfAFaultyLaunchLeaveNoFibreBehind) {
  int* const data = OnDevice(std::vector<int>(64, 0));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Run("faulty", 64, 256,
                  [=] {
                    __syncthreads();
                    if (threadIdx.x == 100) data[64] = 1;
                    __syncthreads();
                  }),
              hipErrorIllegalAddress);
    Start({});
  }
  int* const sum = OnDevice(std::vector<int>{0});
  EXPECT_EQ(Run("sound", 64, 256,
                [=] {
                  __syncthreads();
                  atomicAdd(sum, 1);
                }),
            hipSuccess);
  EXPECT_THAT(ToHost(sum, 1), ElementsAre(64 * 256));
}

TEST_F(FaultTest, LaunchesOfAWrongShapeAreRefused) {
  const auto nothing = [] {};
  EXPECT_EQ(Run("empty", 0, 32, nothing), hipErrorInvalidConfiguration);
  EXPECT_EQ(Run("part_of_a_wave", 1, 48, nothing), hipErrorInvalidConfiguration);
  EXPECT_EQ(Run("large", 1, 2048, nothing), hipErrorInvalidConfiguration);
  EXPECT_EQ(Run("high", dim3(1, 65536), 32, nothing), hipErrorInvalidConfiguration);
  EXPECT_EQ(Run("shared", 1, 32, nothing, 65 * 1024), hipErrorInvalidConfiguration);
  EXPECT_EQ(TakeFaults().size(), 5u);
  EXPECT_EQ(Run("fine", 1, 32, nothing), hipSuccess);
}

}  // namespace
}  // namespace forge::emulator
