#pragma once

#include "kernels/api/rope_append.h"
#include "kernels/api/stream.h"

namespace forge {

// Besides Validate: kInvalidArgument for a batch whose arrays are inconsistent (CheckBatch).
Status CpuRopeAppend(const RopeAppendArgs& args, Stream& stream);

}  // namespace forge
