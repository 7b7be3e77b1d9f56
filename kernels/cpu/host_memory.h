#pragma once

#include <filesystem>
#include <string>

#include "kernels/api/device.h"
#include "kernels/base/result.h"

namespace forge {

// Reads the memory of this machine as far as this process may use it, from <root>/proc and the
// cgroup trees that <root>/proc/self/mountinfo names (versions 1 and 2).
//
// total is MemTotal. runtime_free is MemAvailable. driver_free is the least room under the memory
// limits of the process's cgroup and all its ancestors, where file cache that the kernel would give
// up counts as room; without a limit it equals MemAvailable. free is the smaller of the two.
// process is RssAnon of this process, where <root>/proc/self/status has it.
// kInternal, naming the file and what it says, if a figure cannot be read; a missing limit file
// means no limit.
Result<MemoryReading> ReadHostMemory(const std::filesystem::path& root = "/");

// How many processors this process may keep busy: those of its affinity mask, but no more than the
// cgroup's processor quota, rounded up. At least 1. Unreadable files count as no quota.
int CountUsableCpus(const std::filesystem::path& root = "/");

// The processor's name for people, from <root>/proc/cpuinfo; "unknown processor" without one.
std::string ReadCpuName(const std::filesystem::path& root = "/");

}  // namespace forge
