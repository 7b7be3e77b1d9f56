#include "tests/support/fake_device.h"

#include <gtest/gtest.h>

namespace forge::testing {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

std::unique_ptr<FakeDevice> MakeDevice(uint64_t total_bytes) {
  return std::move(FakeDevice::Create(total_bytes)).value();
}

uint64_t FreeBytes(const FakeDevice& device) { return device.ReadMemory()->free_bytes; }

TEST(FakeDeviceTest, CountsAllocationsAgainstItsOwnSize) {
  const auto device = MakeDevice(10 * kMiB);
  device->set_foreign_bytes(3 * kMiB);
  EXPECT_EQ(FreeBytes(*device), 7 * kMiB);
  EXPECT_EQ(device->Allocate(8 * kMiB).status().code(), StatusCode::kResourceExhausted);
  void* data = device->Allocate(5 * kMiB).value();
  EXPECT_EQ(FreeBytes(*device), 2 * kMiB);
  EXPECT_EQ(device->allocation_count().bytes, 5 * kMiB);
  device->set_foreign_bytes(20 * kMiB);
  EXPECT_EQ(FreeBytes(*device), 0u);
  device->set_foreign_bytes(0);
  device->Free(data, 5 * kMiB);
  EXPECT_EQ(FreeBytes(*device), 10 * kMiB);
  EXPECT_EQ(device->allocation_count().allocations, 0u);
  EXPECT_EQ(device->allocate_calls(), 2u);
}

TEST(FakeDeviceTest, CanBeLargerThanTheMachine) {
  const auto device = MakeDevice(uint64_t{1} << 50);
  EXPECT_EQ(device->ReadMemory()->total_bytes, uint64_t{1} << 50);
  EXPECT_EQ(device->Allocate(uint64_t{1} << 49).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FreeBytes(*device), uint64_t{1} << 50);
}

TEST(FakeDeviceTest, FailsTheAllocationItWasToldTo) {
  const auto device = MakeDevice(100 * kMiB);
  device->FailAllocation(2);
  void* first = device->Allocate(kMiB).value();
  EXPECT_EQ(device->Allocate(kMiB).status().code(), StatusCode::kResourceExhausted);
  void* third = device->Allocate(kMiB).value();
  device->FailAllAllocations(true);
  EXPECT_FALSE(device->Allocate(kMiB).ok());
  EXPECT_FALSE(device->Allocate(kMiB).ok());
  device->Free(first, kMiB);
  device->Free(third, kMiB);
  EXPECT_EQ(device->allocation_count().bytes, 0u);
  EXPECT_EQ(FreeBytes(*device), 100 * kMiB);
}

TEST(FakeDeviceTest, ShowsFreedBytesAfterTheLag) {
  const auto device = MakeDevice(10 * kMiB);
  device->set_free_lag_readings(2);
  void* data = device->Allocate(4 * kMiB).value();
  device->Free(data, 4 * kMiB);
  EXPECT_EQ(FreeBytes(*device), 6 * kMiB);
  EXPECT_EQ(FreeBytes(*device), 6 * kMiB);
  EXPECT_EQ(FreeBytes(*device), 10 * kMiB);
  EXPECT_EQ(device->reading_calls(), 3u);
}

TEST(FakeDeviceTest, FailsReadingsWhenToldTo) {
  const auto device = MakeDevice(kMiB);
  device->FailReadings(true);
  EXPECT_EQ(device->ReadMemory().status().code(), StatusCode::kUnavailable);
  device->FailReadings(false);
  EXPECT_TRUE(device->ReadMemory().ok());
}

}  // namespace
}  // namespace forge::testing
