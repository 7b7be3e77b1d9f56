#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "client/doctor/finding.h"

namespace forge::client {

// Where the checks look, so that tests can show them other machines.
struct System {
  std::filesystem::path root = "/";
  // An environment variable, or nullptr.
  std::function<const char*(const char*)> environment;
};

// Looks at what AMD's driver and ROCm leave in the file system, without any library of theirs:
// driver, compute and render nodes and whether this user may use them, the GPUs with their
// instruction set and the driver's figures of their memory, ROCm's version, and variables that make
// the runtime see something else than there is.
Findings CheckSystem(const System& system);

// "gfx1100" of the topology's 110000, "gfx90a" of 90010; "" of 0, which is a CPU.
std::string GfxTarget(unsigned gfx_target_version);

}  // namespace forge::client
