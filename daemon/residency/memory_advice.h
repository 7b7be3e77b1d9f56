#pragma once

#include <cstdint>
#include <string>

#include "engine/runtime/engine.h"

namespace forge {

// What to do about a model whose plan is larger than `available_bytes`, the most that it could have
// if no other model were resident: names the largest part of the plan and what makes it smaller.
std::string MemoryAdvice(const ModelFileInfo& plan, uint64_t available_bytes);

}  // namespace forge
