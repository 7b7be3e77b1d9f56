#pragma once

#include <cstdint>
#include <functional>

namespace forge {

// Tells how far a load is, in bytes of the file's weights. Called on the thread that loads, at most
// 20 times a second, at the start and at the end. Returns false to cancel the load.
using LoadProgress = std::function<bool(uint64_t bytes_done, uint64_t bytes_total)>;

}  // namespace forge
