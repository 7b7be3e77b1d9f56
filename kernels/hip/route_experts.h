#pragma once

#include "kernels/api/route_experts.h"
#include "kernels/api/stream.h"

namespace forge {

// A token's bits do not depend on the batch.
Status HipRouteExperts(const RouteExpertsArgs& args, Stream& stream);

}  // namespace forge
