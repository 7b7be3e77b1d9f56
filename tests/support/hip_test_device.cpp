// The HIP device, for programs that run the tests of whole models on it.
#include <chrono>

#include "kernels/hip/hip_device.h"
#include "tests/support/test_device.h"

namespace forge::testing {

// On a busy machine an emulated kernel may take longer than a real one ever does.
std::unique_ptr<Device> CreateTestDevice() {
  return CreateHipDevice({.hang_limit = std::chrono::minutes(5)}).value();
}

}  // namespace forge::testing
