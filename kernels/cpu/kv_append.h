#pragma once

#include "kernels/api/kv_append.h"
#include "kernels/api/stream.h"

namespace forge {

// Besides Validate: kInvalidArgument for a batch whose arrays are inconsistent (CheckBatch).
Status CpuKvAppend(const KvAppendArgs& args, Stream& stream);

}  // namespace forge
