#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/hip/gpu_runtime.h"
#include "tests/hip_emulator/control.h"

namespace forge::emulator {

// One emulated GPU of 64 MiB, anew for each test, with a stream.
class EmulatorTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({.memory_bytes = 64 << 20}); }
  void TearDown() override { Reset(); }

  void Start(const DeviceSettings& settings) {
    Reset({settings});
    ASSERT_EQ(hipSetDevice(0), hipSuccess);
    ASSERT_EQ(hipStreamCreateWithFlags(&stream_, hipStreamNonBlocking), hipSuccess);
  }

  // Device memory that holds `values`.
  template <typename T>
  T* OnDevice(const std::vector<T>& values) {
    T* const data = Allocate<T>(values.size());
    EXPECT_EQ(hipMemcpyAsync(data, values.data(), values.size() * sizeof(T), hipMemcpyHostToDevice,
                             stream_),
              hipSuccess);
    EXPECT_EQ(hipStreamSynchronize(stream_), hipSuccess);
    return data;
  }
  template <typename T>
  T* Allocate(size_t n) {
    void* data = nullptr;
    EXPECT_EQ(hipMalloc(&data, n * sizeof(T)), hipSuccess);
    return static_cast<T*>(data);
  }
  template <typename T>
  std::vector<T> ToHost(const T* data, size_t n) {
    std::vector<T> values(n);
    EXPECT_EQ(hipMemcpyAsync(values.data(), data, n * sizeof(T), hipMemcpyDeviceToHost, stream_),
              hipSuccess);
    EXPECT_EQ(hipStreamSynchronize(stream_), hipSuccess);
    return values;
  }

  // Launches a kernel that is a callable; returns what hipStreamSynchronize says of it.
  template <typename Body>
  hipError_t Run(const char* name, dim3 grid, dim3 block, const Body& body,
                 size_t shared_bytes = 0) {
    Launch(name, grid, block, shared_bytes, stream_, body);
    if (const hipError_t error = hipGetLastError()) return error;
    return hipStreamSynchronize(stream_);
  }

  hipStream_t stream_ = nullptr;
};

}  // namespace forge::emulator
