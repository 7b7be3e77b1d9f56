#include "kernels/cpu/cpu_device.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace forge {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

std::unique_ptr<Device> MakeDevice(int n_threads = 2) {
  return std::move(CreateCpuDevice({.n_threads = n_threads})).value();
}

// How many pages of [data, data + bytes) are in memory, and how many there are.
std::pair<size_t, size_t> ResidentPages(void* data, uint64_t bytes) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes + page - 1) / page);
  EXPECT_EQ(mincore(data, bytes, resident.data()), 0) << std::strerror(errno);
  size_t n = 0;
  for (const unsigned char flag : resident) n += flag & 1u;
  return {n, resident.size()};
}

TEST(CpuDeviceTest, SaysWhatItIs) {
  const auto device = MakeDevice(2);
  EXPECT_EQ(device->info().id, "cpu");
  EXPECT_NE(device->info().description.find("2 threads"), std::string::npos)
      << device->info().description;
  EXPECT_EQ(CreateCpuDevice({.n_threads = -1}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(CreateCpuDevice({}).ok());
}

TEST(CpuDeviceTest, OffersEveryOp) {
  const OpTable& ops = MakeDevice()->ops();
  EXPECT_TRUE(
      ops.embed != nullptr && ops.rms_norm != nullptr && ops.matmul != nullptr &&
      ops.rope_append != nullptr && ops.attention != nullptr && ops.gather_rows != nullptr &&
      ops.join_columns != nullptr && ops.sigmoid_gate != nullptr &&
      ops.multiply_columns != nullptr && ops.causal_conv != nullptr && ops.delta_rule != nullptr &&
      ops.state_space != nullptr && ops.soft_cap != nullptr && ops.route_experts != nullptr &&
      ops.expert_matmul != nullptr && ops.combine_experts != nullptr);
}

TEST(CpuDeviceTest, AllocatesAlignedZeroedMemoryWithEveryPageBacked) {
  const auto device = MakeDevice();
  for (const uint64_t bytes : {uint64_t{1}, uint64_t{4095}, uint64_t{65537}, 2 * kMiB - 1, 2 * kMiB,
                               2 * kMiB + 1, 33 * kMiB + 7}) {
    SCOPED_TRACE("bytes " + std::to_string(bytes));
    const Result<void*> data = device->Allocate(bytes);
    ASSERT_TRUE(data.ok()) << data.status().ToString();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(*data) % (bytes >= 2 * kMiB ? 2 * kMiB : 64), 0u);
    const auto [resident, total] = ResidentPages(*data, bytes);
    EXPECT_EQ(resident, total);
    const auto* begin = static_cast<const unsigned char*>(*data);
    EXPECT_EQ(begin[0], 0);
    EXPECT_EQ(begin[bytes - 1], 0);
    std::memset(*data, 1, bytes);
    EXPECT_EQ(device->allocation_count().allocations, 1u);
    EXPECT_EQ(device->allocation_count().bytes, bytes);
    device->Free(*data, bytes);
    EXPECT_EQ(device->allocation_count().allocations, 0u);
    EXPECT_EQ(device->allocation_count().bytes, 0u);
  }
}

TEST(CpuDeviceTest, RefusesZeroBytesAndMoreThanThereIs) {
  const auto device = MakeDevice();
  EXPECT_EQ(device->Allocate(0).status().code(), StatusCode::kInvalidArgument);
  const MemoryReading memory = device->ReadMemory().value();
  for (const uint64_t bytes : {memory.total_bytes + 1, uint64_t{1} << 60, UINT64_MAX}) {
    const Result<void*> data = device->Allocate(bytes);
    ASSERT_EQ(data.status().code(), StatusCode::kResourceExhausted);
    EXPECT_NE(data.status().message().find(std::to_string(bytes)), std::string::npos)
        << data.status().message();
  }
  EXPECT_EQ(device->allocation_count().allocations, 0u);
}

// Asks for this process's own memory, since the machine's also moves for reasons of other
// processes.
TEST(CpuDeviceTest, GivesFreedMemoryBackToTheSystem) {
  const auto resident_bytes = [] {
    uint64_t all_pages = 0, resident_pages = 0;
    std::ifstream("/proc/self/statm") >> all_pages >> resident_pages;
    return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  };
  const auto device = MakeDevice();
  constexpr uint64_t kBytes = 256 * kMiB;
  const uint64_t before = resident_bytes();
  void* data = device->Allocate(kBytes).value();
  EXPECT_GE(resident_bytes(), before + kBytes);
  device->Free(data, kBytes);
  EXPECT_LT(resident_bytes(), before + 16 * kMiB);
}

TEST(CpuDeviceTest, CountsAllocationsOfSeveralThreads) {
  const auto device = MakeDevice();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&device] {
      for (int i = 0; i < 200; ++i) {
        void* data = device->Allocate(10000).value();
        device->Free(data, 10000);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(device->allocation_count().allocations, 0u);
  EXPECT_EQ(device->allocation_count().bytes, 0u);
}

TEST(CpuDeviceTest, CopiesInAndOut) {
  const auto device = MakeDevice();
  const auto stream = device->CreateStream().value();
  void* data = device->Allocate(1000).value();
  std::vector<char> in(1000), out(1000);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<char>(i);
  ASSERT_TRUE(device->CopyIn(data, in.data(), in.size(), *stream).ok());
  ASSERT_TRUE(device->CopyOut(out.data(), data, out.size(), *stream).ok());
  ASSERT_TRUE(stream->Synchronize().ok());
  EXPECT_EQ(in, out);
  EXPECT_TRUE(device->CopyIn(data, nullptr, 0, *stream).ok());
  EXPECT_EQ(device->CopyIn(data, nullptr, 1, *stream).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(device->CopyOut(nullptr, data, 1, *stream).code(), StatusCode::kInvalidArgument);
  device->Free(data, 1000);
}

TEST(CpuDeviceTest, RunsOpsOfSeveralStreamsAtOnce) {
  const auto device = MakeDevice(3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&device, t] {
      const auto stream = device->CreateStream().value();
      const std::vector<float> x(100000, static_cast<float>(t));
      std::vector<float> y(100000);
      const float want = 2.0f * std::tanh(static_cast<float>(t) / 2.0f);
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(device->ops()
                        .soft_cap({.x = x.data(), .y = y.data(), .n = 100000, .cap = 2.0f}, *stream)
                        .ok());
        ASSERT_NEAR(y.front(), want, 1e-6f);
        ASSERT_NEAR(y.back(), want, 1e-6f);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace forge
