#pragma once

#include <string_view>

#include "kernels/base/status.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

// Makes the runtime's answer to `what` ("hipMalloc of 4096 bytes") a Status:
//   out of memory -> kResourceExhausted
//   arguments, handles, launch shapes and resources -> kInternal: we gave them
//   no code for this GPU -> kUnimplemented
//   everything else (no device, faults in kernels, lost devices) -> kUnavailable, reason
//   DEVICE_LOST
// with the error's name in the message.
Status CheckHip(hipError_t error, std::string_view what);

}  // namespace forge
