#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// Liquid AI's LFM 2 and 2.5: in most layers a short convolution with gates stands in attention's
// place; the others are Qwen 3's.
namespace forge {
namespace {

// As CausalConvArgs has them.
constexpr KeyReader::Range kTaps = {2, 8};

Status ReadConvolution(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.short_conv.n_taps, keys.Required("shortconv.l_cache", kTaps));
  return Status();
}

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSigmoid,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false,
                                   .may_begin_dense = true};

Status ReadMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadConvolution(keys, config));
  return RequireExperts(keys, kExperts, config);
}

// Converters call the norm before the output head after the embedding, whose matrix that is.
std::vector<TensorSpec> Tensors(const ModelConfig& config) {
  std::vector<TensorSpec> specs = TransformerTensors(config);
  for (TensorSpec& spec : specs)
    if (spec.role == WeightRole::kOutputNorm) spec.file_tensor = "token_embd_norm.weight";
  return specs;
}

constexpr TransformerTraits kDense = {.architecture = "lfm2",
                                      .qk_norm = QkNorm::kHead,
                                      .has_recurrent_layers = true,
                                      .read_more = ReadConvolution};
constexpr TransformerTraits kMoe = {.architecture = "lfm2moe",
                                    .qk_norm = QkNorm::kHead,
                                    .may_have_selection_bias = true,
                                    .has_recurrent_layers = true,
                                    .read_more = ReadMoe};

template <const TransformerTraits& kTraits>
Architecture Lfm2() {
  Architecture family = TransformerFamily<kTraits>();
  family.tensors = Tensors;
  return family;
}

}  // namespace

Architecture Lfm2Architecture() { return Lfm2<kDense>(); }
Architecture Lfm2MoeArchitecture() { return Lfm2<kMoe>(); }

}  // namespace forge
