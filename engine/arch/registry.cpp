#include <algorithm>

#include "engine/arch/architecture.h"
#include "engine/arch/families.h"

namespace forge {

std::span<const Architecture> Architectures() {
  // The only list.
  static const Architecture kArchitectures[] = {
      ArceeArchitecture(),      BailingMoeArchitecture(),   BailingMoe2Architecture(),
      BertArchitecture(),       ChatGlmArchitecture(),      Cohere2Architecture(),
      CommandRArchitecture(),   DeepSeek2Architecture(),    Dots1Architecture(),
      Ernie45Architecture(),    Ernie45MoeArchitecture(),   ExaoneArchitecture(),
      Exaone4Architecture(),    FalconArchitecture(),       GemmaArchitecture(),
      Gemma2Architecture(),     Gemma3Architecture(),       Gemma4Architecture(),
      Glm4Architecture(),       Glm4MoeArchitecture(),      GptOssArchitecture(),
      GptNeoxArchitecture(),    GraniteArchitecture(),      GraniteHybridArchitecture(),
      GraniteMoeArchitecture(), HunyuanDenseArchitecture(), HunyuanMoeArchitecture(),
      InternLm2Architecture(),  Lfm2Architecture(),         Lfm2MoeArchitecture(),
      LlamaArchitecture(),      MiniMaxM2Architecture(),    MistralArchitecture(),
      Mistral3Architecture(),   MixtralArchitecture(),      NemotronArchitecture(),
      NemotronHArchitecture(),  NemotronHMoeArchitecture(), NomicBertArchitecture(),
      Olmo2Architecture(),      OlmoeArchitecture(),        Phi2Architecture(),
      Phi3Architecture(),       Qwen2Architecture(),        Qwen2MoeArchitecture(),
      Qwen2VlArchitecture(),    Qwen3Architecture(),        Qwen35Architecture(),
      Qwen35MoeArchitecture(),  Qwen3MoeArchitecture(),     Qwen3NextArchitecture(),
      Qwen3VlArchitecture(),    Qwen3VlMoeArchitecture(),   SeedOssArchitecture(),
      SmolLm3Architecture(),    StableLmArchitecture(),     StarCoder2Architecture(),
      YiArchitecture()};
  return kArchitectures;
}

const Architecture* FindArchitecture(std::string_view name) {
  const auto all = Architectures();
  const auto found = std::ranges::find(all, name, &Architecture::name);
  return found != all.end() ? &*found : nullptr;
}

}  // namespace forge
