#include "client/doctor/system_checks.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>

#include "client/terminal/units.h"

namespace forge::client {
namespace {

namespace fs = std::filesystem;

std::string ReadLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<uint64_t> ReadNumber(const fs::path& path) {
  std::ifstream file(path);
  uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// Folders in `path` whose names start so, in order.
std::vector<fs::path> Entries(const fs::path& path, const std::string& prefix) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
    if (it->path().filename().string().starts_with(prefix)) entries.push_back(it->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// --- Driver and nodes

Finding CheckDriver(const System& system) {
  const fs::path module = system.root / "sys/module/amdgpu";
  std::error_code ignored;
  if (!fs::exists(module, ignored))
    return {
        Severity::kProblem, "driver", "the kernel module amdgpu is not loaded",
        "load it (sudo modprobe amdgpu); if that fails, the kernel has none for this GPU, or no "
        "firmware: on Debian install firmware-amd-graphics"};
  const std::string version = ReadLine(module / "version");
  const std::string kernel = ReadLine(system.root / "proc/sys/kernel/osrelease");
  return {Severity::kOk, "driver",
          "amdgpu " + (version.empty() ? "of the kernel" : version) + ", kernel " + kernel, ""};
}

std::string GroupOf(const fs::path& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return "";
  const struct group* const group = getgrgid(status.st_gid);
  return group == nullptr ? std::to_string(status.st_gid) : group->gr_name;
}

Finding CheckNode(const fs::path& node, const std::string& topic) {
  std::error_code ignored;
  if (!fs::exists(node, ignored))
    return {Severity::kProblem, topic, node.string() + " does not exist",
            "the driver makes it when it finds a GPU that can compute; in a container, pass it in "
            "(docker run --device=/dev/kfd --device=/dev/dri)"};
  if (access(node.c_str(), R_OK | W_OK) == 0)
    return {Severity::kOk, topic, node.string() + " can be read and written", ""};
  return {
      Severity::kProblem, topic, "this user may not use " + node.string(),
      "join the group that owns it (sudo usermod -aG " + GroupOf(node) +
          " $USER), then log in again; forged's own account is in render and video by its unit"};
}

Findings CheckNodes(const System& system) {
  Findings findings = {CheckNode(system.root / "dev/kfd", "compute node")};
  const std::vector<fs::path> renders = Entries(system.root / "dev/dri", "renderD");
  if (renders.empty())
    findings.push_back({Severity::kProblem, "render node", "there is no /dev/dri/renderD*",
                        "the driver makes one for each GPU; in a container, pass /dev/dri in"});
  for (const fs::path& node : renders) findings.push_back(CheckNode(node, "render node"));
  return findings;
}

// --- GPUs

// The value of `key` in a topology node's properties.
std::optional<uint64_t> Property(const fs::path& node, const std::string& key) {
  std::ifstream file(node / "properties");
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value)
    if (name == key) return value;
  return std::nullopt;
}

// The instruction set of the GPU behind a render node, as the compute driver numbers it.
std::string TargetOfRenderNode(const System& system, unsigned minor) {
  for (const fs::path& node : Entries(system.root / "sys/class/kfd/kfd/topology/nodes", ""))
    if (Property(node, "drm_render_minor") == minor)
      return GfxTarget(static_cast<unsigned>(Property(node, "gfx_target_version").value_or(0)));
  return "";
}

std::string MemoryText(const fs::path& device, const std::string& kind) {
  const std::optional<uint64_t> total = ReadNumber(device / ("mem_info_" + kind + "_total"));
  const std::optional<uint64_t> used = ReadNumber(device / ("mem_info_" + kind + "_used"));
  if (!total || !used) return "unknown";
  return FormatBytes(*total - std::min(*total, *used)) + " free of " + FormatBytes(*total);
}

Findings CheckGpus(const System& system) {
  Findings findings;
  for (const fs::path& render : Entries(system.root / "sys/class/drm", "renderD")) {
    std::error_code error;
    const fs::path device = fs::canonical(render / "device", error);
    if (error || ReadLine(device / "vendor") != "0x1002") continue;
    const unsigned minor =
        static_cast<unsigned>(std::stoul("0" + render.filename().string().substr(7)));
    const std::string target = TargetOfRenderNode(system, minor);
    findings.push_back({target.empty() ? Severity::kWarning : Severity::kOk, "GPU",
                        device.filename().string() + " (" + render.filename().string() + "), " +
                            (target.empty() ? "no compute node" : target) + ", VRAM " +
                            MemoryText(device, "vram") + ", GTT " + MemoryText(device, "gtt") +
                            " by the driver",
                        target.empty() ? "the compute driver does not know this GPU: it may be too "
                                         "old or too new for this kernel"
                                       : ""});
  }
  if (findings.empty())
    findings.push_back({Severity::kProblem, "GPU", "the driver shows no AMD GPU",
                        "look for it with: lspci -nn -d 1002:; models run on the CPU without one"});
  return findings;
}

// --- ROCm

Finding CheckRocm(const System& system) {
  const std::string version = ReadLine(system.root / "opt/rocm/.info/version");
  if (!version.empty()) return {Severity::kOk, "ROCm", version + " in /opt/rocm", ""};
  for (const char* const folder : {"usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib"})
    for (const fs::path& library : Entries(system.root / folder, "libamdhip64.so."))
      return {Severity::kOk, "ROCm", library.filename().string() + " in /" + folder, ""};
  return {Severity::kProblem, "ROCm", "its runtime, libamdhip64, is in none of the usual places",
          "install it: on Debian libamdhip64-5, elsewhere AMD's packages; docs/hip.md names the "
          "version that the plug-in is built for"};
}

Findings CheckVariables(const System& system) {
  constexpr const char* kVariables[] = {
      "HSA_OVERRIDE_GFX_VERSION", "HSA_OVERRIDE_GFX_VERSION_0", "HSA_OVERRIDE_GFX_VERSION_1",
      "HIP_VISIBLE_DEVICES",      "ROCR_VISIBLE_DEVICES",       "GPU_DEVICE_ORDINAL",
      "HSA_ENABLE_SDMA",          "AMD_SERIALIZE_KERNEL",       "GPU_MAX_HW_QUEUES",
  };
  Findings findings;
  for (const char* const name : kVariables) {
    const char* const value = system.environment(name);
    if (value == nullptr) continue;
    const bool overrides = std::string(name).starts_with("HSA_OVERRIDE");
    findings.push_back(
        {overrides ? Severity::kWarning : Severity::kNote, "variable",
         std::string(name) + "=" + value,
         overrides ? "the runtime takes the GPU for another one: kernels may be wrong or fault; "
                     "forged has it only if its unit sets it (systemctl edit forged)"
                   : "it holds for this shell; forged has it only if its unit sets it"});
  }
  if (findings.empty())
    findings.push_back({Severity::kOk, "variable", "none that changes what the runtime sees", ""});
  return findings;
}

void Append(Findings& to, const Findings& from) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

// The number is major * 10000 + minor * 100 + stepping; the name has the last two in hexadecimal.
std::string GfxTarget(unsigned gfx_target_version) {
  if (gfx_target_version == 0) return "";
  char text[32];
  std::snprintf(text, sizeof(text), "gfx%u%x%x", gfx_target_version / 10000,
                gfx_target_version / 100 % 100, gfx_target_version % 100);
  return text;
}

Findings CheckSystem(const System& system) {
  Findings findings = {CheckDriver(system)};
  Append(findings, CheckNodes(system));
  Append(findings, CheckGpus(system));
  findings.push_back(CheckRocm(system));
  Append(findings, CheckVariables(system));
  return findings;
}

}  // namespace forge::client
