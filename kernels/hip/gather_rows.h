#pragma once

#include "kernels/api/gather_rows.h"
#include "kernels/api/stream.h"

namespace forge {

// A row outside of x gets NaN.
Status HipGatherRows(const GatherRowsArgs& args, Stream& stream);

}  // namespace forge
