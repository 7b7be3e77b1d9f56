#include "tests/support/test_device.h"

#include "kernels/cpu/cpu_device.h"

namespace forge::testing {

[[gnu::weak]] std::unique_ptr<Device> CreateTestDevice() { return CreateCpuDevice({}).value(); }

}  // namespace forge::testing
