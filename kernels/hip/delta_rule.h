#pragma once

#include "kernels/api/delta_rule.h"
#include "kernels/api/stream.h"

namespace forge {

Status HipDeltaRule(const DeltaRuleArgs& args, Stream& stream);

}  // namespace forge
