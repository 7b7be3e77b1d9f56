#pragma once

#include "kernels/api/route_experts.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuRouteExperts(const RouteExpertsArgs& args, Stream& stream);

}  // namespace forge
