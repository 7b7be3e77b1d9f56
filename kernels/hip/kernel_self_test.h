#pragma once

#include <string>

#include "kernels/api/device.h"

namespace forge {

// Runs a kernel whose result is known. kUnimplemented, naming `target` ("gfx1100"), if the program
// has no code for this GPU; kInternal if the result is wrong; else as the device fails. Takes
// milliseconds and 4 KB of device memory meanwhile.
Status TestKernel(Device& device, const std::string& target);

}  // namespace forge
