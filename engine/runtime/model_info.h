#pragma once

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/model_plan.h"
#include "engine/runtime/engine.h"

namespace forge {

// Plans a file on a device and says what it holds. Reserves nothing. Errors as DescribeModel and
// PlanModel.
Result<ModelFileInfo> InspectModel(const GgufFile& file, const LoadOptions& options,
                                   const Device& device);

}  // namespace forge
