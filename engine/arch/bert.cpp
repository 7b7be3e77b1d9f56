#include <algorithm>

#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// What positions a BERT knows is a table: nothing turns.
Status ReadNoRotation(const KeyReader&, ModelConfig& config) {
  config.unrotated.assign(config.n_layers, true);
  return Status();
}

void RequireTables(const GgufFile&, ModelConfig& config) {
  config.has_positions = config.has_embedding_norm = true;
  config.n_token_types = std::max(1u, config.n_token_types);
}

// Google's BERT and the sentence encoders that are built as it is: MiniLM, BGE, mxbai, Arctic.
constexpr TransformerTraits kBertTraits = {.architecture = "bert",
                                           .norm = NormKind::kLayer,
                                           .activation = GateActivation::kGelu,
                                           .has_pre_norms = false,
                                           .has_gate = false,
                                           .is_encoder = true,
                                           .read_more = ReadNoRotation,
                                           .read_tensors = RequireTables};

void RequireEmbeddingNorm(const GgufFile&, ModelConfig& config) {
  config.has_embedding_norm = true;
}

// Nomic AI's: rotation in place of the table, and a gate.
constexpr TransformerTraits kNomicBertTraits = {.architecture = "nomic-bert",
                                                .norm = NormKind::kLayer,
                                                .has_pre_norms = false,
                                                .is_encoder = true,
                                                .read_tensors = RequireEmbeddingNorm};

}  // namespace

Architecture BertArchitecture() { return TransformerFamily<kBertTraits>(); }
Architecture NomicBertArchitecture() { return TransformerFamily<kNomicBertTraits>(); }

}  // namespace forge
