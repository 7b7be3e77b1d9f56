#include <algorithm>

#include "engine/arch/architecture.h"
#include "engine/arch/families.h"

namespace forge {

std::span<const Architecture> Architectures() {
  // The only list.
  static const Architecture kArchitectures[] = {LlamaArchitecture(), Qwen2Architecture()};
  return kArchitectures;
}

const Architecture* FindArchitecture(std::string_view name) {
  const auto all = Architectures();
  const auto found = std::ranges::find(all, name, &Architecture::name);
  return found != all.end() ? &*found : nullptr;
}

}  // namespace forge
