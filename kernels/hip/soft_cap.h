#pragma once

#include "kernels/api/soft_cap.h"
#include "kernels/api/stream.h"

namespace forge {

// See SoftCapArgs.
Status HipSoftCap(const SoftCapArgs& args, Stream& stream);

}  // namespace forge
