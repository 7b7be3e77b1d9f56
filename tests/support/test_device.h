#pragma once

#include <memory>

#include "kernels/api/device.h"

namespace forge::testing {

// The device that tests of whole models run on. The CPU's, unless the program has a definition of
// its own: the library's is weak. Aborts if there is none.
std::unique_ptr<Device> CreateTestDevice();

}  // namespace forge::testing
