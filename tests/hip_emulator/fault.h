#pragma once

#include <string>

#include "tests/hip_emulator/hip_runtime.h"

namespace forge::emulator {

// What a kernel did wrong, or what was wrong with a call. `message` is a sentence that names the
// kernel, block and thread where there are any.
struct Fault {
  hipError_t error = hipSuccess;
  std::string message;
};

}  // namespace forge::emulator
