#pragma once

#include "kernels/api/gather_rows.h"
#include "kernels/api/stream.h"

namespace forge {

// Besides Validate: kInvalidArgument for a row outside [0, n_x_rows), and `y` is not written.
Status CpuGatherRows(const GatherRowsArgs& args, Stream& stream);

}  // namespace forge
