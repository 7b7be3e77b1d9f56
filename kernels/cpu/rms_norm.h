#pragma once

#include "kernels/api/rms_norm.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuRmsNorm(const RmsNormArgs& args, Stream& stream);

}  // namespace forge
