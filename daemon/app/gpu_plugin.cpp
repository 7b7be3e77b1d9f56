#include "daemon/app/gpu_plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace forge {

namespace fs = std::filesystem;

fs::path HipPluginPath(const Config& config) {
  if (!config.gpu_plugin.empty()) return config.gpu_plugin;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return fs::path("/usr") / FORGE_PLUGIN_FOLDER / "libforge-hip.so";
  return (program.parent_path().parent_path() / FORGE_PLUGIN_FOLDER / "libforge-hip.so")
      .lexically_normal();
}

Result<const HipPlugin*> OpenHipPlugin(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    return NotFound(
        fmt::format("there is no GPU plug-in at {}; it comes with a build for GPUs, see "
                    "docs/hip.md",
                    path.string()));
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return Unavailable(
        fmt::format("the GPU plug-in cannot be opened: {}; is ROCm installed, in the "
                    "version that the plug-in was built for?",
                    dlerror()));
  using Entry = const HipPlugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, kHipPluginSymbol));
  const HipPlugin* const plugin = entry == nullptr ? nullptr : entry();
  if (plugin == nullptr || plugin->interface_version != kHipPluginVersion ||
      std::string_view(plugin->build) != kHipPluginBuild)
    return FailedPrecondition(
        fmt::format("the GPU plug-in {} does not belong to this forged (it says build '{}', "
                    "forged is '{}'); install both from the same build",
                    path.string(),
                    plugin != nullptr && plugin->interface_version == kHipPluginVersion
                        ? plugin->build
                        : "of another interface",
                    kHipPluginBuild));
  return plugin;
}

}  // namespace forge
