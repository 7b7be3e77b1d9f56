#pragma once

#include "tests/hip_emulator/block_runner.h"

namespace forge::emulator {

// Runs all blocks of a launch on the calling thread and, if there is enough to do, on a second one.
// Returns the first fault; blocks that have not begun by then do not run.
std::optional<Fault> RunGrid(const Kernel& kernel);

// Starts the second thread. What calls this first outlives, as a static, what calls RunGrid.
void PrepareGridRunner();

}  // namespace forge::emulator
