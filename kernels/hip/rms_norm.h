#pragma once

#include "kernels/api/rms_norm.h"
#include "kernels/api/stream.h"

namespace forge {

// A row's bits do not depend on the batch.
Status HipRmsNorm(const RmsNormArgs& args, Stream& stream);

}  // namespace forge
