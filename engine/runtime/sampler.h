#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/grammar/token_mask.h"
#include "engine/runtime/sampling_options.h"
#include "kernels/base/status.h"

namespace forge {

// Refuses options that no distribution can be made of. kInvalidArgument (reason INVALID_REQUEST)
// naming field, value and range; details "field" and "value".
Status ValidateSampling(const SamplingOptions& options, uint32_t n_vocab);

// A token that may be chosen.
struct SamplingCandidate {
  double logit = 0.0;
  double probability = 0.0;
  double rank = 0.0;  // what a filter sorts by; the smallest are kept
  TokenId token = 0;
};

// What choosing a token needs beside its logits, for the turns of one model: they choose one after
// the other, and would else take some 50 bytes of each token of the vocabulary, each of them. Empty
// before the first that needs it. Plain data of Samplers. Not thread-safe.
struct SamplerScratch {
  std::vector<double> adjusted;  // [n_vocab], the logits with bias and penalties
  std::vector<double> excluded;  // [n_vocab], logits of what is left of the vocabulary
  std::vector<uint32_t> counts;  // [n_vocab], all 0 between calls
  std::vector<SamplingCandidate> candidates;
};

// Chooses the tokens of one turn from the model's logits.
//
// The random numbers are a function of the seed and of how many were drawn before, so a turn's text
// depends on nothing else that runs. Not thread-safe, and nor are those that share a scratch.
class Sampler {
 public:
  // REQUIRES: ValidateSampling(options, n_vocab) is OK; `scratch` is for the same n_vocab.
  Sampler(SamplingOptions options, uint32_t n_vocab,
          std::shared_ptr<SamplerScratch> scratch = std::make_shared<SamplerScratch>());

  // The next token after `sequence`, which the penalties look at; prompt tokens count.
  // `allowed`: the tokens to choose among; null: all. REQUIRES: logits.size() == n_vocab, no logit
  // is NaN or +infinity, one is finite, and `allowed` is not empty.
  TokenId Sample(std::span<const float> logits, std::span<const TokenId> sequence,
                 const TokenMask* allowed = nullptr);

  // How many of the greatest logits decide, whatever the others and the sequence are; 0: all. Not
  // where the tokens to choose among are limited.
  uint32_t n_deciding() const;
  // As Sample, from the greatest logits: those of `tokens`, in order of likelihood and then of ids.
  // REQUIRES: n_deciding() is not 0, and there are at least as many.
  TokenId SampleTop(std::span<const float> logits, std::span<const TokenId> tokens);

 private:
  using Candidate = SamplingCandidate;

  bool has_penalties() const;
  void AdjustLogits(std::span<const TokenId> sequence);
  void Penalize(std::span<const TokenId> sequence);
  TokenId MostLikely() const;
  // Leaves only the allowed tokens a chance.
  void Exclude(const TokenMask& allowed);
  // Makes candidates_ of adjusted_: the top_k most likely, or all that have a chance.
  void CollectCandidates();
  // A token of candidates_, by the options that come after top_k.
  TokenId ChooseCandidate();
  void KeepTypical();
  void KeepTopP();
  void KeepMinP();
  TokenId Draw();

  // Softmax over candidates_.
  void ComputeProbabilities(double temperature);
  // Keeps the candidates of smallest rank whose probabilities together reach `mass`. Sorts only as
  // many as it takes: of a whole vocabulary a few tokens hold the mass.
  void KeepMass(double mass);
  double NextUniform();  // in [0, 1)

  // Constant after construction.
  SamplingOptions options_;
  uint32_t n_vocab_;

  const std::shared_ptr<SamplerScratch> scratch_;
  // Those of scratch_.
  std::vector<double>& adjusted_;
  std::vector<double>& excluded_;
  std::vector<uint32_t>& counts_;
  std::vector<Candidate>& candidates_;

  uint64_t n_drawn_ = 0;
};

}  // namespace forge
