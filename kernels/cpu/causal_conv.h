#pragma once

#include "kernels/api/causal_conv.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuCausalConv(const CausalConvArgs& args, Stream& stream);

}  // namespace forge
