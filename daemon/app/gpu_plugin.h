#pragma once

#include <filesystem>

#include "daemon/config/config.h"
#include "kernels/base/result.h"
#include "kernels/hip/plugin.h"

namespace forge {

// Where the plug-in is looked for: device.gpu_plugin of the configuration, else
// ../<lib>/forge/libforge-hip.so seen from the program's own folder.
std::filesystem::path HipPluginPath(const Config& config);

// Opens libforge-hip.so at `path` and checks that it was built with this program. It stays open for
// the life of the process: a GPU runtime cannot be unloaded. kNotFound if there is no such file;
// kUnavailable with the dynamic linker's words if it cannot be opened, as where ROCm is missing;
// kFailedPrecondition if it is another program's. Thread-safe.
Result<const HipPlugin*> OpenHipPlugin(const std::filesystem::path& path);

}  // namespace forge
