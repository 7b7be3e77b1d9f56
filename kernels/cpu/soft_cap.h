#pragma once

#include "kernels/api/soft_cap.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuSoftCap(const SoftCapArgs& args, Stream& stream);

}  // namespace forge
