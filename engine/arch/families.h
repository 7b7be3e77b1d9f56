#pragma once

#include "engine/arch/architecture.h"

// One declaration per family; registry.cpp lists them.
namespace forge {

Architecture ChatGlmArchitecture();
Architecture GemmaArchitecture();
Architecture Gemma2Architecture();
Architecture Gemma3Architecture();
Architecture Glm4Architecture();
Architecture GptOssArchitecture();
Architecture LlamaArchitecture();
Architecture MistralArchitecture();
Architecture MixtralArchitecture();
Architecture Phi3Architecture();
Architecture Qwen2Architecture();
Architecture Qwen2MoeArchitecture();
Architecture Qwen3Architecture();
Architecture Qwen3MoeArchitecture();
Architecture YiArchitecture();

}  // namespace forge
