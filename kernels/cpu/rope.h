#pragma once

#include "kernels/api/rope.h"
#include "kernels/api/stream.h"

namespace forge {

// Angles, sines and cosines are computed in double precision and rounded once, so that a position
// of a million is as exact as the first.
Status CpuRope(const RopeArgs& args, Stream& stream);

}  // namespace forge
