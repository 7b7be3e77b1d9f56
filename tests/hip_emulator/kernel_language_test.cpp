#include <numeric>

#include "tests/hip_emulator/emulator_fixture.h"

namespace forge::emulator {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;

// Every test at both wave sizes.
class KernelLanguageTest : public EmulatorTest, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override { Start({.memory_bytes = 64 << 20, .wave_size = GetParam()}); }
  void TearDown() override {
    EXPECT_THAT(TakeFaults(), IsEmpty());
    EmulatorTest::TearDown();
  }

  // Runs `lane_value(lane)` on each lane of one wave.
  template <typename T, typename LaneValue>
  std::vector<T> OnOneWave(const LaneValue& lane_value) {
    const auto n = static_cast<unsigned>(GetParam());
    T* const out = Allocate<T>(n);
    EXPECT_EQ(Run("one_wave", 1, n, [=] { out[threadIdx.x] = lane_value(threadIdx.x); }),
              hipSuccess);
    return ToHost(out, n);
  }
};
INSTANTIATE_TEST_SUITE_P(Waves, KernelLanguageTest, ::testing::Values(32, 64));

TEST_P(KernelLanguageTest, RunsEveryThreadOfEveryBlockOnceWithItsIndices) {
  const dim3 grid(5, 3, 2), block(16, 4, 2);
  const size_t n = 30 * 128;
  int* const out = OnDevice(std::vector<int>(n, 0));
  EXPECT_EQ(Run("index", grid, block,
                [=] {
                  const unsigned b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
                  const unsigned t =
                      threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
                  atomicAdd(&out[b * 128 + t], static_cast<int>(b * 128 + t + 1));
                }),
            hipSuccess);
  std::vector<int> want(n);
  std::iota(want.begin(), want.end(), 1);
  EXPECT_EQ(ToHost(out, n), want);
}

TEST_P(KernelLanguageTest, BarriersOrderSharedMemoryAmongTheWavesOfABlock) {
  int* const out = Allocate<int>(2 * 256);
  EXPECT_EQ(Run("reverse", 2, 256,
                [=] {
                  FORGE_SHARED(int, values, 256);
                  const unsigned t = threadIdx.x;
                  for (int round = 0; round < 3; ++round) {
                    values[t] = static_cast<int>(t) + round;
                    __syncthreads();
                    out[blockIdx.x * 256 + t] = values[255 - t];
                    __syncthreads();
                  }
                }),
            hipSuccess);
  const std::vector<int> got = ToHost(out, 512);
  for (int i = 0; i < 512; ++i) ASSERT_EQ(got[static_cast<size_t>(i)], 255 - i % 256 + 2) << i;
}

TEST_P(KernelLanguageTest, SyncWaveOrdersSharedMemoryAmongTheLanesOfAWave) {
  const int wave = GetParam();
  const std::vector<int> got = OnOneWave<int>([=](unsigned lane) {
    FORGE_SHARED(int, values, 64);
    values[lane] = static_cast<int>(lane);
    SyncWave();
    return values[static_cast<unsigned>(wave) - 1 - lane];
  });
  for (int i = 0; i < wave; ++i) EXPECT_EQ(got[static_cast<size_t>(i)], wave - 1 - i);
}

TEST_P(KernelLanguageTest, DynamicSharedMemoryIsOnePerBlock) {
  int* const out = Allocate<int>(4);
  EXPECT_EQ(Run(
                "dynamic", 4, 64,
                [=] {
                  FORGE_DYNAMIC_SHARED(int, sum);
                  if (threadIdx.x == 0) *sum = static_cast<int>(blockIdx.x);
                  __syncthreads();
                  atomicAdd(sum, 1);
                  __syncthreads();
                  if (threadIdx.x == 0) out[blockIdx.x] = *sum;
                },
                sizeof(int)),
            hipSuccess);
  EXPECT_EQ(ToHost(out, 4), (std::vector<int>{64, 65, 66, 67}));
}

TEST_P(KernelLanguageTest, ShuffleXorSumsAGroupOfAnyWidth) {
  for (const bool whole : {true, false}) {
    const bool wide = GetParam() == 64;
    const std::vector<float> got = OnOneWave<float>([=](unsigned lane) {
      float sum = static_cast<float>(lane);
      if (!whole) {
        for (int mask = 4; mask > 0; mask /= 2) sum += ShuffleXor<8>(sum, mask);
      } else {
        for (int mask = wide ? 32 : 16; mask > 0; mask /= 2)
          sum += wide ? ShuffleXor<64>(sum, mask) : ShuffleXor<32>(sum, mask);
      }
      return sum;
    });
    const int width = whole ? GetParam() : 8;
    for (int i = 0; i < GetParam(); ++i) {
      const int base = i / width * width;
      EXPECT_EQ(got[static_cast<size_t>(i)],
                static_cast<float>(width * base + width * (width - 1) / 2));
    }
  }
}

TEST_P(KernelLanguageTest, ShuffleDownKeepsItsOwnValueBeyondTheGroup) {
  const std::vector<int> got =
      OnOneWave<int>([](unsigned lane) { return ShuffleDown<16>(static_cast<int>(lane), 3); });
  for (int i = 0; i < GetParam(); ++i)
    EXPECT_EQ(got[static_cast<size_t>(i)], i % 16 + 3 < 16 ? i + 3 : i);
}

TEST_P(KernelLanguageTest, ShuffleReadsOneLaneOfEachGroup) {
  const std::vector<int64_t> got =
      OnOneWave<int64_t>([](unsigned lane) { return Shuffle<8>(int64_t{lane} << 40, 5); });
  for (int i = 0; i < GetParam(); ++i)
    EXPECT_EQ(got[static_cast<size_t>(i)], int64_t{i / 8 * 8 + 5} << 40);
}

TEST_P(KernelLanguageTest, BallotHasABitForEachLane) {
  const std::vector<uint64_t> got =
      OnOneWave<uint64_t>([](unsigned lane) { return Ballot(lane % 3 == 0); });
  uint64_t want = 0;
  for (int i = 0; i < GetParam(); i += 3) want |= uint64_t{1} << i;
  EXPECT_THAT(got, Each(want));
}

TEST_P(KernelLanguageTest, WavesOfABlockShuffleIndependently) {
  int* const out = Allocate<int>(256);
  const int wave = GetParam();
  EXPECT_EQ(Run("some_waves", 1, 256,
                [=] {
                  const int t = static_cast<int>(threadIdx.x);
                  int value = t;
                  if (t / wave % 2 == 0)  // whole waves only
                    value = ShuffleXor<32>(value, 1);
                  out[t] = value;
                }),
            hipSuccess);
  const std::vector<int> got = ToHost(out, 256);
  for (int t = 0; t < 256; ++t)
    EXPECT_EQ(got[static_cast<size_t>(t)], t / wave % 2 == 0 ? t ^ 1 : t);
}

TEST_P(KernelLanguageTest, AtomicsCountAcrossBlocks) {
  unsigned* const out = OnDevice(std::vector<unsigned>{0, 0, 1000, 7});
  float* const sum = OnDevice(std::vector<float>{0.0f});
  EXPECT_EQ(Run("count", 100, 128,
                [=] {
                  atomicAdd(&out[0], 1u);
                  atomicMax(&out[1], blockIdx.x * 128 + threadIdx.x);
                  atomicMin(&out[2], threadIdx.x + 5);
                  atomicCAS(&out[3], 7u, 8u);
                  atomicAdd(sum, 0.5f);
                }),
            hipSuccess);
  EXPECT_EQ(ToHost(out, 4), (std::vector<unsigned>{12800, 12799, 5, 8}));
  EXPECT_EQ(ToHost(sum, 1), std::vector<float>{6400.0f});
}

TEST_P(KernelLanguageTest, Dot4MultipliesSignedBytes) {
  const std::vector<int> got = OnOneWave<int>([](unsigned lane) {
    return Dot4(static_cast<int>(0x80ff017fu), static_cast<int>(0x7f02ff80u),
                static_cast<int>(lane));
  });
  for (int i = 0; i < GetParam(); ++i)
    EXPECT_EQ(got[static_cast<size_t>(i)], -128 * 127 + -1 * 2 + 1 * -1 + 127 * -128 + i);
}

TEST_P(KernelLanguageTest, ABlockMayBeLargerThanTheFibresThatWait) {
  unsigned* const out = OnDevice(std::vector<unsigned>{0});
  EXPECT_EQ(Run("large", 3, 1024,
                [=] {
                  for (int i = 0; i < 10; ++i) __syncthreads();
                  atomicAdd(out, 1u);
                }),
            hipSuccess);
  EXPECT_EQ(ToHost(out, 1), std::vector<unsigned>{3 * 1024});
}

}  // namespace
}  // namespace forge::emulator
