#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

Status ReadOrder(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kName = "use_parallel_residual";
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> is_parallel, keys.Bool(kName));
  if (!is_parallel) return MissingField("the key is required", keys.Key(kName));
  if (*is_parallel) config.order = BlockOrder::kParallel;
  return Status();
}

// EleutherAI's GPT-NeoX and Pythia, and what was made of them: layer norms and biases everywhere,
// partial rotation; most run attention and feed-forward net beside each other, each with a norm.
constexpr TransformerTraits kTraits = {.architecture = "gptneox",
                                       .norm = NormKind::kLayer,
                                       .activation = GateActivation::kGelu,
                                       .has_gate = false,
                                       .read_more = ReadOrder};

}  // namespace

Architecture GptNeoxArchitecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
