#pragma once

#include <string>
#include <type_traits>

#include "kernels/base/status.h"
#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/hip_stream.h"

namespace forge {

// Gives `kernel` to the stream, if the launch is none that HIP refuses (CheckThreads), and says
// whether the launch was accepted; a fault while it runs shows when the stream is synchronised, and
// within a group a launch that is not accepted when the group is given to the device. A grid
// without blocks is a launch error: return before.
//   return LaunchKernel("rms_norm", RmsNormKernel<kWave>, {.grid = n_rows, .block = 256}, stream,
//                       args.x, args.y, args.dim);
template <typename... Parameters>
Status LaunchKernel(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
                    HipStream& stream, std::type_identity_t<Parameters>... arguments) {
  FORGE_TRY(CheckThreads(name, shape));
  if (stream.is_grouping()) {
#if defined(FORGE_GPU_EMULATED)
    emulator::DescribeKernel(kernel, name);
#endif
    return stream.Hold(name, reinterpret_cast<const void*>(kernel), shape,
                       static_cast<const Parameters&>(arguments)...);
  }
  FORGE_TRY(stream.PrepareLaunch());
#if defined(FORGE_GPU_EMULATED)
  emulator::Launch(name, shape.grid, shape.block, shape.shared_bytes, stream.handle(),
                   [=] { kernel(arguments...); });
#else
  // clang-format 14 takes the brackets apart.
  // clang-format off
  kernel<<<shape.grid, shape.block, shape.shared_bytes, stream.handle()>>>(arguments...);
  // clang-format on
#endif
  const hipError_t error = hipGetLastError();
  if (error == hipSuccess) return Status();
  return stream.Check(error, std::string("launch of kernel ") + name);
}

}  // namespace forge
