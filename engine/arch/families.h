#pragma once

#include "engine/arch/architecture.h"

// One declaration per family; registry.cpp lists them.
namespace forge {

Architecture ArceeArchitecture();
Architecture BailingMoeArchitecture();
Architecture BailingMoe2Architecture();
Architecture BertArchitecture();
Architecture ChatGlmArchitecture();
Architecture Cohere2Architecture();
Architecture CommandRArchitecture();
Architecture DeepSeek2Architecture();
Architecture Dots1Architecture();
Architecture Ernie45Architecture();
Architecture Ernie45MoeArchitecture();
Architecture ExaoneArchitecture();
Architecture Exaone4Architecture();
Architecture FalconArchitecture();
Architecture GemmaArchitecture();
Architecture Gemma2Architecture();
Architecture Gemma3Architecture();
Architecture Gemma4Architecture();
Architecture Glm4Architecture();
Architecture Glm4MoeArchitecture();
Architecture GptOssArchitecture();
Architecture GptNeoxArchitecture();
Architecture GraniteArchitecture();
Architecture GraniteHybridArchitecture();
Architecture GraniteMoeArchitecture();
Architecture HunyuanDenseArchitecture();
Architecture HunyuanMoeArchitecture();
Architecture InternLm2Architecture();
Architecture Lfm2Architecture();
Architecture Lfm2MoeArchitecture();
Architecture LlamaArchitecture();
Architecture MiniMaxM2Architecture();
Architecture MistralArchitecture();
Architecture Mistral3Architecture();
Architecture MixtralArchitecture();
Architecture NemotronArchitecture();
Architecture NemotronHArchitecture();
Architecture NemotronHMoeArchitecture();
Architecture NomicBertArchitecture();
Architecture Olmo2Architecture();
Architecture OlmoeArchitecture();
Architecture Phi2Architecture();
Architecture Phi3Architecture();
Architecture Qwen2Architecture();
Architecture Qwen2MoeArchitecture();
Architecture Qwen2VlArchitecture();
Architecture Qwen3Architecture();
Architecture Qwen35Architecture();
Architecture Qwen35MoeArchitecture();
Architecture Qwen3MoeArchitecture();
Architecture Qwen3NextArchitecture();
Architecture Qwen3VlArchitecture();
Architecture Qwen3VlMoeArchitecture();
Architecture SeedOssArchitecture();
Architecture SmolLm3Architecture();
Architecture StableLmArchitecture();
Architecture StarCoder2Architecture();
Architecture YiArchitecture();

}  // namespace forge
