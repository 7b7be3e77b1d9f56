#pragma once

#include "kernels/base/result.h"
#include "kernels/hip/hip_context.h"

namespace forge {

// Copies pieces of an allocation to the host, from offsets 0, 256, 4096 and odd ones, of 1 byte,
// 64 KiB and 1 MiB, and compares them with what was written: whether all arrived as they were.
// There are reports of runtimes that copy from the wrong place. Takes milliseconds and 2 MiB of
// device memory meanwhile. Fails as HipContext::Check does.
Result<bool> OffsetCopiesWork(HipContext& context);

}  // namespace forge
