#pragma once

#include "engine/arch/architecture.h"

// One declaration per family file of this folder; registry.cpp lists them.
namespace forge {

Architecture LlamaArchitecture();
Architecture Qwen2Architecture();

}  // namespace forge
