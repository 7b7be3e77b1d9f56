#pragma once

#include <spdlog/logger.h>

#include <memory>

#include "daemon/config/config.h"
#include "engine/runtime/engine.h"
#include "kernels/base/result.h"

namespace forge {

// Creates the devices that the configuration asks for, and an engine on them: the GPUs first, so
// that they are what is used where nobody says otherwise, then the CPU. Where a GPU was asked for
// (device.gpu is "required") and none can be used, fails with the reason; with "auto", logs it.
Result<std::unique_ptr<Engine>> CreateEngine(const Config& config, spdlog::logger& log);

}  // namespace forge
