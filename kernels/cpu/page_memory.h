#pragma once

#include <cstdint>

#include "kernels/base/result.h"

namespace forge {

// Maps zeroed memory whose every page is backed, in huge pages where the system grants them. The
// address is a multiple of 2 MiB from that size on, of the page size below. kResourceExhausted if
// the system has no memory to give; then nothing stays mapped.
// REQUIRES: bytes > 0.
Result<void*> AllocatePages(uint64_t bytes);

// Gives the pages back to the system.
// REQUIRES: `data` came from AllocatePages with the same `bytes`.
void FreePages(void* data, uint64_t bytes);

}  // namespace forge
