#include "kernels/hip/hip_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kernels/formats/formats.h"
#include "kernels/hip/gpu_matrix.h"
#include "tests/hip_emulator/control.h"

namespace forge::testing {
namespace {

using emulator::DeviceSettings;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1 << 20;
constexpr std::chrono::milliseconds kHangLimit = 300ms;

class HipDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({{.memory_bytes = 64 * kMiB}}); }
  void TearDown() override {
    stream_.reset();
    device_.reset();
    EXPECT_THAT(emulator::TakeFaults(), IsEmpty());
    emulator::Reset();
  }

  void Start(const std::vector<DeviceSettings>& gpus, int index = 0) {
    stream_.reset();
    device_.reset();
    emulator::Reset(gpus);
    Open(index);
  }
  void Open(int index = 0, std::chrono::milliseconds hang_limit = kHangLimit) {
    Result<std::unique_ptr<Device>> device =
        CreateHipDevice({.index = index, .hang_limit = hang_limit});
    ASSERT_TRUE(device.ok()) << device.status().ToString();
    device_ = std::move(device).value();
    Result<std::unique_ptr<Stream>> stream = device_->CreateStream();
    ASSERT_TRUE(stream.ok()) << stream.status().ToString();
    stream_ = std::move(stream).value();
  }

  void* Allocate(uint64_t bytes) {
    Result<void*> data = device_->Allocate(bytes);
    EXPECT_TRUE(data.ok()) << data.status().ToString();
    return data.ok() ? *data : nullptr;
  }
  static std::vector<std::byte> Bytes(size_t n, unsigned seed = 1) {
    std::vector<std::byte> bytes(n);
    for (std::byte& byte : bytes) {
      seed = seed * 1664525u + 1013904223u;
      byte = static_cast<std::byte>(seed >> 24);
    }
    return bytes;
  }
  // What arrives of [offset, offset + n) of an allocation.
  std::vector<std::byte> Fetch(const void* data, size_t offset, size_t n) {
    std::vector<std::byte> bytes(n);
    EXPECT_TRUE(
        device_->CopyOut(bytes.data(), static_cast<const std::byte*>(data) + offset, n, *stream_)
            .ok());
    EXPECT_TRUE(stream_->Synchronize().ok());
    return bytes;
  }
  // A kernel with something to do.
  Status Launch() {
    return device_->ops().soft_cap({.x = numbers_, .y = numbers_, .n = 64, .cap = 10.0f}, *stream_);
  }
  void MakeNumbers() {
    numbers_ = static_cast<float*>(Allocate(64 * sizeof(float)));
    const std::vector<float> zeros(64);
    ASSERT_TRUE(
        device_->CopyIn(numbers_, zeros.data(), zeros.size() * sizeof(float), *stream_).ok());
    ASSERT_TRUE(stream_->Synchronize().ok());
  }
  void ExpectLost(const Status& status, const std::string& cause) {
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status.ToString();
    EXPECT_EQ(status.reason(), "DEVICE_LOST");
    EXPECT_THAT(std::string(status.message()), HasSubstr("device hip:0 is lost: "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(cause));
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  float* numbers_ = nullptr;
};

// --- Opening

TEST_F(HipDeviceTest, DescribesItself) {
  Start({{.memory_bytes = 1536 * kMiB, .name = "Radeon Test", .target = "gfx1100"}});
  EXPECT_EQ(device_->info().id, "hip:0");
  EXPECT_EQ(device_->info().description, "Radeon Test, gfx1100, 1.5 GiB");
}

// The list of targets and the conditions under which kernels are compiled for them are two lists of
// one file.
TEST(HipTargetTest, KnowsTheTargetsThatKernelsAreCompiledForWithMatrixUnits) {
  std::ifstream file(FORGE_SOURCE_DIR "/kernels/hip/gpu_matrix.h");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex macro("defined\\(__(gfx[0-9a-f]+)__\\)");
  const std::regex name("\"(gfx[0-9a-f]+)\"");
  const auto find_all = [&](const std::regex& pattern) {
    std::set<std::string> found;
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
      found.insert((*it)[1]);
    return found;
  };
  const std::set<std::string> compiled = find_all(macro);
  EXPECT_EQ(compiled, find_all(name));
  EXPECT_GE(compiled.size(), 16u);
  for (const std::string& target : compiled) EXPECT_TRUE(HasMatrixUnits(target)) << target;
}

TEST(HipTargetTest, KnowsWhichTargetsHaveMatrixUnits) {
  for (const char* target : {"gfx90a:sramecc+:xnack-", "gfx1100", "sm_80", "sm_90", "sm_120"})
    EXPECT_TRUE(HasMatrixUnits(target)) << target;
  for (const char* target :
       {"gfx900", "gfx906", "gfx1010", "gfx1030", "gfx1199", "gfx1250", "sm_75", "sm_", ""})
    EXPECT_FALSE(HasMatrixUnits(target)) << target;
  EXPECT_TRUE(FlushesSubnormals("gfx90a:sramecc+:xnack-"));
  EXPECT_FALSE(FlushesSubnormals("gfx908"));
  EXPECT_FALSE(FlushesSubnormals("gfx942"));
}

TEST_F(HipDeviceTest, SaysWhenThereIsNoGpu) {
  stream_.reset();
  device_.reset();
  emulator::Reset({});
  const Result<std::unique_ptr<Device>> device = CreateHipDevice({});
  EXPECT_EQ(device.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(device.status().message()), HasSubstr("hipErrorNoDevice"));
}

TEST_F(HipDeviceTest, SaysWhichDevicesThereAre) {
  const Result<std::unique_ptr<Device>> device = CreateHipDevice({.index = 3});
  EXPECT_EQ(device.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(device.status().message()), HasSubstr("no device hip:3"));
}

TEST_F(HipDeviceTest, WorksOnItsGpuFromAnyThread) {
  Start({DeviceSettings(), {.memory_bytes = 32 * kMiB}}, 1);
  EXPECT_EQ(device_->info().id, "hip:1");
  std::thread([&] {
    void* const data = Allocate(kMiB);
    EXPECT_EQ(emulator::HeldBytes(1), kMiB);
    const std::vector<std::byte> bytes = Bytes(kMiB);
    EXPECT_TRUE(device_->CopyIn(data, bytes.data(), bytes.size(), *stream_).ok());
    EXPECT_EQ(Fetch(data, 0, kMiB), bytes);
    numbers_ = static_cast<float*>(data);
    EXPECT_TRUE(Launch().ok());
    EXPECT_TRUE(stream_->Synchronize().ok());
    device_->Free(data, kMiB);
  }).join();
  EXPECT_EQ(emulator::HeldBytes(1), 0u);
  EXPECT_EQ(emulator::HeldBytes(0), 0u);
}

// --- Memory

TEST_F(HipDeviceTest, TakesTheSmallerOfBothReadings) {
  emulator::SetForeignBytes(0, 20 * kMiB);
  void* const data = Allocate(10 * kMiB);
  const Result<MemoryReading> reading = device_->ReadMemory();
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading->total_bytes, 64 * kMiB);
  EXPECT_EQ(reading->runtime_free_bytes, 54 * kMiB);
  EXPECT_EQ(reading->driver_free_bytes, 34 * kMiB);
  EXPECT_EQ(reading->free_bytes, 34 * kMiB);
  device_->Free(data, 10 * kMiB);
}

TEST_F(HipDeviceTest, FindsItsOwnGpuAmongTheDriversByPciId) {
  Start({{.memory_bytes = 64 * kMiB, .foreign_bytes = kMiB},
         {.memory_bytes = 128 * kMiB, .foreign_bytes = 3 * kMiB}},
        1);
  EXPECT_EQ(device_->ReadMemory()->driver_free_bytes, 125 * kMiB);
}

TEST_F(HipDeviceTest, KnowsWhatTheDriverCountsAsItsOwn) {
  Start({{.memory_bytes = 64 * kMiB}, {.memory_bytes = 64 * kMiB}}, 1);
  const std::optional<uint64_t> before = device_->ReadMemory()->process_bytes;
  ASSERT_TRUE(before);
  void* const data = Allocate(5 * kMiB);
  emulator::SetForeignBytes(1, kMiB);
  EXPECT_EQ(device_->ReadMemory()->process_bytes, *before + 5 * kMiB);
  device_->Free(data, 5 * kMiB);
  EXPECT_EQ(device_->ReadMemory()->process_bytes, before);
  std::filesystem::remove_all(emulator::SystemRoot() / "sys/class/kfd");
  Start({{.memory_bytes = 64 * kMiB, .in_sysfs = false}});
  EXPECT_EQ(device_->ReadMemory()->process_bytes, std::nullopt);
}

TEST_F(HipDeviceTest, UsesTheRuntimesReadingWhereTheDriverHasNone) {
  std::filesystem::remove_all(emulator::SystemRoot() / "sys/class/drm");
  Start({{.memory_bytes = 64 * kMiB, .foreign_bytes = kMiB, .in_sysfs = false}});
  EXPECT_EQ(device_->ReadMemory()->free_bytes, 64 * kMiB);
}

TEST_F(HipDeviceTest, CountsHostMemoryOnAnIntegratedGpu) {
  Start({{.memory_bytes = 64 * kMiB,
          .integrated = true,
          .host_free_bytes = 40 * kMiB,
          .foreign_bytes = 16 * kMiB}});
  EXPECT_THAT(device_->info().description, HasSubstr("shared with the host"));
  EXPECT_EQ(device_->ReadMemory()->total_bytes, 64 * kMiB);
  EXPECT_EQ(device_->ReadMemory()->driver_free_bytes, 48 * kMiB);  // GTT
  EXPECT_EQ(device_->ReadMemory()->free_bytes, 40 * kMiB);         // MemAvailable
  emulator::SetForeignBytes(0, 30 * kMiB);
  EXPECT_EQ(device_->ReadMemory()->free_bytes, 34 * kMiB);
}

TEST_F(HipDeviceTest, CountsItsOwnMemoryOnAnIntegratedGpuThatHasMoreOfItThanOfTheHosts) {
  Start({{.memory_bytes = 96 * kMiB,
          .integrated = true,
          .gtt_bytes = 16 * kMiB,
          .host_free_bytes = 8 * kMiB,
          .foreign_bytes = 6 * kMiB}});
  EXPECT_THAT(device_->info().description, Not(HasSubstr("shared with the host")));
  void* const data = Allocate(10 * kMiB);
  const Result<MemoryReading> reading = device_->ReadMemory();
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading->total_bytes, 96 * kMiB);
  EXPECT_EQ(reading->driver_free_bytes, 80 * kMiB);
  EXPECT_EQ(reading->free_bytes, 80 * kMiB);
  EXPECT_TRUE(reading->process_bytes);
  device_->Free(data, 10 * kMiB);
}

TEST_F(HipDeviceTest, CountsWhatItAllocated) {
  void* const first = Allocate(kMiB);
  void* const second = Allocate(64);
  EXPECT_EQ(device_->allocation_count().allocations, 2u);
  EXPECT_EQ(device_->allocation_count().bytes, kMiB + 64);
  device_->Free(first, kMiB);
  device_->Free(second, 64);
  EXPECT_EQ(device_->allocation_count().allocations, 0u);
  EXPECT_EQ(emulator::HeldBytes(0), 0u);
}

TEST_F(HipDeviceTest, RefusesWhatDoesNotFitAndGoesOn) {
  const Result<void*> data = device_->Allocate(65 * kMiB);
  EXPECT_EQ(data.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(device_->Allocate(0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(device_->allocation_count().allocations, 0u);
  MakeNumbers();
  EXPECT_TRUE(Launch().ok());  // the failed call does not pass for a failed launch
  EXPECT_TRUE(stream_->Synchronize().ok());
}

// --- Copies

TEST_F(HipDeviceTest, CopiesOfAnySizeArriveWhole) {
  for (const size_t n : {1u, 63u, 256u << 10, (256u << 10) + 1, 9u << 20, (20u << 20) + 17}) {
    SCOPED_TRACE(n);
    void* const data = Allocate(n);
    const std::vector<std::byte> bytes = Bytes(n);
    ASSERT_TRUE(device_->CopyIn(data, bytes.data(), n, *stream_).ok());
    EXPECT_EQ(Fetch(data, 0, n), bytes);
    device_->Free(data, n);
  }
}

TEST_F(HipDeviceTest, ManySmallCopiesMayBeUnderWayAtOnce) {
  constexpr size_t kCopies = 3000, kBytes = 400;
  emulator::SetCopyRate(0, 50 * kMiB);
  std::byte* const data = static_cast<std::byte*>(Allocate(kCopies * kBytes));
  const std::vector<std::byte> bytes = Bytes(kCopies * kBytes);
  for (size_t i = 0; i < kCopies; ++i) {
    std::vector<std::byte> piece(bytes.begin() + static_cast<ptrdiff_t>(i * kBytes),
                                 bytes.begin() + static_cast<ptrdiff_t>((i + 1) * kBytes));
    ASSERT_TRUE(device_->CopyIn(data + i * kBytes, piece.data(), kBytes, *stream_).ok());
  }
  ASSERT_TRUE(stream_->Synchronize().ok());
  emulator::SetCopyRate(0, 0);
  EXPECT_EQ(Fetch(data, 0, kCopies * kBytes), bytes);
}

TEST_F(HipDeviceTest, AWaitForPinnedMemoryThatSeesCopiesEndIsNoHang) {
  constexpr size_t kPieces = 65, kBytes = 8 << 10;  // one more than the ring holds
  static_assert(kPieces * kBytes > 2 * (256 << 10));
  emulator::SetCopyRate(0, 640 << 10);  // half of the ring in 400 ms, eight pieces in 100
  std::byte* const data = static_cast<std::byte*>(Allocate(kPieces * kBytes));
  const std::vector<std::byte> bytes = Bytes(kPieces * kBytes);
  for (size_t i = 0; i < kPieces; ++i)
    ASSERT_TRUE(
        device_->CopyIn(data + i * kBytes, bytes.data() + i * kBytes, kBytes, *stream_).ok())
        << i;
  ASSERT_TRUE(stream_->Synchronize().ok());
  emulator::SetCopyRate(0, 0);
  EXPECT_EQ(Fetch(data, 0, kPieces * kBytes), bytes);
  device_->Free(data, kPieces * kBytes);
}

TEST_F(HipDeviceTest, ReadsThroughWholeAllocationsWhereOffsetsAreBroken) {
  stream_.reset();
  device_.reset();
  emulator::BreakOffsetCopies(0, true);
  Open();
  void* const data = Allocate(3 * kMiB + 100);
  const std::vector<std::byte> bytes = Bytes(3 * kMiB + 100);
  ASSERT_TRUE(device_->CopyIn(data, bytes.data(), bytes.size(), *stream_).ok());
  EXPECT_EQ(Fetch(data, 0, bytes.size()), bytes);
  for (const size_t offset : {1u, 4096u, 70000u}) {
    const size_t n = 2 * kMiB + 33;
    const std::vector<std::byte> want(bytes.begin() + offset, bytes.begin() + offset + n);
    EXPECT_EQ(Fetch(data, offset, n), want);
  }
  device_->Free(data, bytes.size());
}

TEST_F(HipDeviceTest, PackingOverlapsWithTheCopy) {
  const WeightShape shape = {.dtype = F32Format::kDType, .n_rows = 3000, .n_cols = 1024};
  const Result<uint64_t> packed_bytes = device_->PackedWeightBytes(shape);
  ASSERT_TRUE(packed_bytes.ok());
  void* const packed = Allocate(*packed_bytes);
  std::vector<std::byte> rows(3000 * 4096);
  emulator::SetCopyRate(0, 40 * kMiB);  // about 300 ms for all
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(device_->PackRows(shape, 0, 3000, rows.data(), packed, *stream_).ok());
  const auto packed_after = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(stream_->Synchronize().ok());
  const auto done_after = std::chrono::steady_clock::now() - start;
  // Two pieces of three are still on their way when the last is packed.
  EXPECT_LT(packed_after, 0.6 * done_after);
  emulator::SetCopyRate(0, 0);
  device_->Free(packed, *packed_bytes);
}

TEST_F(HipDeviceTest, PackRefusesRowsThatAreNotThere) {
  const WeightShape shape = {.dtype = F32Format::kDType, .n_rows = 4, .n_cols = 32};
  std::vector<std::byte> rows(5 * 128);
  EXPECT_EQ(device_->PackRows(shape, 2, 3, rows.data(), nullptr, *stream_).code(),
            StatusCode::kInvalidArgument);
}

// --- Losing the device

TEST_F(HipDeviceTest, AFaultInAKernelLosesTheDeviceForGood) {
  MakeNumbers();
  emulator::LoseDeviceAtLaunch(0, 0);
  EXPECT_TRUE(Launch().ok());
  ExpectLost(stream_->Synchronize(), "work on the device failed: hipErrorUnknown");
  ExpectLost(Launch(), "hipErrorUnknown");
  ExpectLost(device_->ReadMemory().status(), "hipErrorUnknown");
  ExpectLost(device_->Allocate(64).status(), "hipErrorUnknown");
  ExpectLost(device_->CreateStream().status(), "hipErrorUnknown");
  float value = 0;
  ExpectLost(device_->CopyIn(numbers_, &value, sizeof(value), *stream_), "hipErrorUnknown");
  ExpectLost(device_->CopyOut(&value, numbers_, sizeof(value), *stream_), "hipErrorUnknown");
  device_->Free(numbers_, 64 * sizeof(float));
  EXPECT_EQ(device_->allocation_count().allocations, 0u);
  static_cast<void>(emulator::TakeFaults());
}

TEST_F(HipDeviceTest, AKernelThatHangsLosesTheDeviceWithinTheLimit) {
  MakeNumbers();
  emulator::HangAtLaunch(0, 2);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Launch().ok());
  const auto start = std::chrono::steady_clock::now();
  ExpectLost(stream_->Synchronize(), "made no progress for 300 ms");
  EXPECT_LT(std::chrono::steady_clock::now() - start, kHangLimit + 1s);
  // Nothing below may wait for the GPU.
  device_->Free(numbers_, 64 * sizeof(float));
  ExpectLost(device_->CreateStream().status(), "made no progress");
  stream_.reset();
  device_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, kHangLimit + 1s);
}

TEST_F(HipDeviceTest, MemoryIsFreedInTimeThoughAnotherThreadsWorkHangs) {
  MakeNumbers();
  void* const other = Allocate(kMiB);
  emulator::HangAtLaunch(0, 0);
  EXPECT_TRUE(Launch().ok());
  const auto start = std::chrono::steady_clock::now();
  std::thread waiter([&] { ExpectLost(stream_->Synchronize(), "made no progress"); });
  device_->Free(other, kMiB);
  EXPECT_LT(std::chrono::steady_clock::now() - start, kHangLimit + 1s);
  waiter.join();
}

// Its pinned memory is given back by a call that waits for the whole device.
TEST_F(HipDeviceTest, AStreamEndsInTimeThoughAnotherThreadsWorkHangs) {
  MakeNumbers();
  std::unique_ptr<Stream> other = device_->CreateStream().value();
  void* const data = Allocate(kMiB);
  const std::vector<std::byte> bytes = Bytes(100);
  ASSERT_TRUE(device_->CopyIn(data, bytes.data(), bytes.size(), *other).ok());
  ASSERT_TRUE(other->Synchronize().ok());
  emulator::HangAtLaunch(0, 0);
  EXPECT_TRUE(Launch().ok());
  const auto start = std::chrono::steady_clock::now();
  std::thread waiter([&] { ExpectLost(stream_->Synchronize(), "made no progress"); });
  other.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, kHangLimit + 1s);
  waiter.join();
}

TEST_F(HipDeviceTest, LongWorkThatMovesIsNoHang) {
  MakeNumbers();
  emulator::SetCopyRate(0, 2 * kMiB);
  // About 2 s of copies and kernels in one go, several times the limit.
  void* const data = Allocate(4 * kMiB);
  const std::vector<std::byte> bytes = Bytes(20 << 10);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(device_->CopyIn(data, bytes.data(), bytes.size(), *stream_).ok());
    ASSERT_TRUE(Launch().ok());
  }
  const Status status = stream_->Synchronize();
  EXPECT_TRUE(status.ok()) << status.ToString();
  emulator::SetCopyRate(0, 0);
}

// Memory is freed behind all work that is under way, which may be long as long as it moves.
TEST_F(HipDeviceTest, FreeingMemoryBehindLongWorkIsNoHang) {
  stream_.reset();
  Open(0, 200ms);
  MakeNumbers();
  void* const other = Allocate(kMiB);
  emulator::SetCopyRate(0, 2 * kMiB);
  void* const data = Allocate(4 * kMiB);
  const std::vector<std::byte> bytes = Bytes(20 << 10);
  // About 3 s, more than the ten limits that an unmoving device is given.
  for (int i = 0; i < 300; ++i)
    ASSERT_TRUE(device_->CopyIn(data, bytes.data(), bytes.size(), *stream_).ok());
  std::thread waiter([&] { EXPECT_TRUE(stream_->Synchronize().ok()); });
  device_->Free(other, kMiB);
  waiter.join();
  EXPECT_TRUE(Launch().ok());
  EXPECT_TRUE(stream_->Synchronize().ok());
  emulator::SetCopyRate(0, 0);
}

TEST_F(HipDeviceTest, AGpuThatThereIsNoCodeForIsNotOpened) {
  emulator::FailCalls("launch", {.error = hipErrorNoBinaryForGpu});
  const Status status = CreateHipDevice({.index = 0}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("which the plug-in was not built for"));
  EXPECT_TRUE(CreateHipDevice({.index = 0}).ok());
}

}  // namespace
}  // namespace forge::testing
