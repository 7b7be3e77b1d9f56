#pragma once

#include <memory>

#include "daemon/config/config.h"
#include "engine/runtime/engine.h"
#include "kernels/base/result.h"

namespace forge {

// Creates the devices that the configuration asks for, and an engine on them.
Result<std::unique_ptr<Engine>> CreateEngine(const Config& config);

}  // namespace forge
