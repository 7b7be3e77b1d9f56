#pragma once

#include "kernels/hip/plugin.h"

namespace forge {

// Opens the GPU, which runs a kernel whose result is known, and reads its memory. Whatever fails is
// said in self_test; what could be found out is there in any case.
HipDeviceReport ExamineHipDevice(int index);

}  // namespace forge
