#pragma once

#include "kernels/api/silu_mul.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuSiluMul(const SiluMulArgs& args, Stream& stream);

}  // namespace forge
