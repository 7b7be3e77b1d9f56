#pragma once

#include "kernels/api/state_space.h"
#include "kernels/api/stream.h"

namespace forge {

Status HipStateSpace(const StateSpaceArgs& args, Stream& stream);

}  // namespace forge
