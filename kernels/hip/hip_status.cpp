#include "kernels/hip/hip_status.h"

#include <string>

namespace forge {

Status CheckHip(hipError_t error, std::string_view what) {
  if (error == hipSuccess) return Status();
  const std::string message =
      std::string(what) + " failed: " + hipGetErrorName(error) + ": " + hipGetErrorString(error);
  switch (error) {
    case hipErrorOutOfMemory:
      return ResourceExhausted(message);
    case hipErrorInvalidValue:
    case hipErrorInvalidConfiguration:
    case hipErrorInvalidHandle:
    case hipErrorIllegalState:
    case hipErrorLaunchOutOfResources:
      return Internal(message);
    case hipErrorInvalidDeviceFunction:
    case hipErrorNoBinaryForGpu:
      return Unimplemented(message);
    default:
      return Unavailable(message).WithReason("DEVICE_LOST");
  }
}

}  // namespace forge
