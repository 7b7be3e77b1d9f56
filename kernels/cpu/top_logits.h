#pragma once

#include "kernels/api/stream.h"
#include "kernels/api/top_logits.h"

namespace forge {

// See TopLogitsArgs.
Status CpuTopLogits(const TopLogitsArgs& args, Stream& stream);

}  // namespace forge
