#pragma once

#include <memory>

#include "kernels/api/device.h"
#include "kernels/base/result.h"

namespace forge {

// The GPU "hip:<index>" of a build with -DFORGE_GPU; kUnimplemented in others. Errors as
// CreateHipDevice.
Result<std::unique_ptr<Device>> OpenGpu(int index);

// GB/s that the GPU moves while it copies within its memory, reading and writing both counted: the
// best of some copies of 1 GiB, or of a quarter of what is free. What decoding is judged by.
Result<double> MeasureGpuCopyRate(int index);

// 10^9 multiplications and additions of bfloat16 numbers per second, summed in float32, that the
// GPU's matrix units do with operands in registers; 0 where our kernels know none. What prefill is
// judged by.
Result<double> MeasureGpuMatrixRate(int index);

}  // namespace forge
