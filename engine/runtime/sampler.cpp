#include "engine/runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "engine/runtime/logprobs.h"
#include "engine/runtime/request_checks.h"
#include "kernels/base/check.h"

namespace forge {
namespace {

// Comparisons with NaN are false, so each check states what is allowed.
Status CheckFloats(const SamplingOptions& options) {
  const auto check = [](bool allowed, std::string_view field, float value, std::string_view range) {
    return allowed && std::isfinite(value) ? Status()
                                           : InvalidRequest(field, std::to_string(value), range);
  };
  const auto& [temperature, top_k, top_p, min_p, typical_p, repetition, presence, frequency, window,
               seed, bias] = options;
  FORGE_TRY(check(temperature >= 0.0f, "temperature", temperature, "a number of 0 or more"));
  FORGE_TRY(check(top_p > 0.0f && top_p <= 1.0f, "top_p", top_p, "in (0, 1]"));
  FORGE_TRY(check(min_p >= 0.0f && min_p < 1.0f, "min_p", min_p, "in [0, 1)"));
  FORGE_TRY(check(typical_p > 0.0f && typical_p <= 1.0f, "typical_p", typical_p, "in (0, 1]"));
  FORGE_TRY(check(repetition > 0.0f, "repetition_penalty", repetition, "a number above 0"));
  FORGE_TRY(check(true, "presence_penalty", presence, "a finite number"));
  return check(true, "frequency_penalty", frequency, "a finite number");
}

constexpr double kExcluded = -std::numeric_limits<double>::infinity();

// The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", 2014): a bijection that spreads every input bit over the output.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Status ValidateSampling(const SamplingOptions& options, uint32_t n_vocab) {
  FORGE_TRY(CheckFloats(options));
  if (options.top_k < 0)
    return InvalidRequest("top_k", std::to_string(options.top_k), "0 (all) or more");
  if (options.penalty_window < -1)
    return InvalidRequest("penalty_window", std::to_string(options.penalty_window),
                          "-1 (all), 0 (none) or more");
  for (const auto& [token, bias] : options.logit_bias) {
    if (token < 0 || static_cast<uint32_t>(token) >= n_vocab)
      return InvalidRequest("logit_bias.token", std::to_string(token),
                            "in [0, " + std::to_string(n_vocab) + "), the model's vocabulary");
    if (!std::isfinite(bias))
      return InvalidRequest("logit_bias.bias", std::to_string(bias), "a finite number");
  }
  return Status();
}

Sampler::Sampler(SamplingOptions options, uint32_t n_vocab, std::shared_ptr<SamplerScratch> scratch)
    : options_(std::move(options)),
      n_vocab_(n_vocab),
      scratch_(std::move(scratch)),
      adjusted_(scratch_->adjusted),
      excluded_(scratch_->excluded),
      counts_(scratch_->counts),
      candidates_(scratch_->candidates) {}

bool Sampler::has_penalties() const {
  return options_.penalty_window != 0 &&
         (options_.repetition_penalty != 1.0f || options_.presence_penalty != 0.0f ||
          options_.frequency_penalty != 0.0f);
}

TokenId Sampler::Sample(std::span<const float> logits, std::span<const TokenId> sequence,
                        const TokenMask* allowed) {
  FORGE_CHECK(logits.size() == n_vocab_, std::to_string(logits.size()) + " logits");
  // Nothing changes the order of the logits: no copy of a whole vocabulary is needed.
  const bool is_plain = options_.logit_bias.empty() && !has_penalties() && allowed == nullptr;
  if (is_plain && options_.temperature == 0.0f) return MostLikelyToken(logits);
  adjusted_.assign(logits.begin(), logits.end());
  AdjustLogits(sequence);
  if (allowed != nullptr) Exclude(*allowed);
  if (options_.temperature == 0.0f) return MostLikely();
  CollectCandidates();
  return ChooseCandidate();
}

uint32_t Sampler::n_deciding() const {
  if (!options_.logit_bias.empty() || has_penalties()) return 0;
  if (options_.temperature == 0.0f) return 1;
  const auto top_k = static_cast<uint32_t>(options_.top_k);
  return top_k < n_vocab_ ? top_k : 0;
}

TokenId Sampler::SampleTop(std::span<const float> logits, std::span<const TokenId> tokens) {
  if (options_.temperature == 0.0f) return tokens.front();
  candidates_.clear();
  for (size_t i = 0; i < n_deciding(); ++i)
    if (const auto logit = static_cast<double>(logits[i]); logit != kExcluded)
      candidates_.push_back({.logit = logit, .token = tokens[i]});
  return ChooseCandidate();
}

TokenId Sampler::ChooseCandidate() {
  if (options_.typical_p < 1.0f) KeepTypical();
  if (options_.top_p < 1.0f) KeepTopP();
  if (options_.min_p > 0.0f) KeepMinP();
  return Draw();
}

void Sampler::AdjustLogits(std::span<const TokenId> sequence) {
  for (const auto& [token, bias] : options_.logit_bias)
    adjusted_[static_cast<size_t>(token)] += static_cast<double>(bias);
  if (!has_penalties()) return;
  const auto window = static_cast<size_t>(options_.penalty_window);  // -1: all
  Penalize(sequence.last(std::min(window, sequence.size())));
}

void Sampler::Penalize(std::span<const TokenId> sequence) {
  counts_.resize(n_vocab_, 0);
  for (const TokenId token : sequence) ++counts_[static_cast<size_t>(token)];
  const auto repetition = static_cast<double>(options_.repetition_penalty);
  for (const TokenId token : sequence) {
    const uint32_t count = std::exchange(counts_[static_cast<size_t>(token)], 0);
    if (count == 0) continue;  // done at an earlier occurrence
    double& logit = adjusted_[static_cast<size_t>(token)];
    logit = logit > 0.0 ? logit / repetition : logit * repetition;
    logit -= static_cast<double>(options_.presence_penalty) +
             static_cast<double>(options_.frequency_penalty) * count;
  }
}

void Sampler::Exclude(const TokenMask& allowed) {
  // A model may give a token no chance at all, but one of those that the grammar leaves is taken.
  static constexpr double kLeast = std::numeric_limits<double>::lowest();
  excluded_.assign(n_vocab_, kExcluded);
  allowed.ForEach([this](size_t token) { excluded_[token] = std::max(adjusted_[token], kLeast); });
  adjusted_.swap(excluded_);
}

TokenId Sampler::MostLikely() const {
  return static_cast<TokenId>(std::max_element(adjusted_.begin(), adjusted_.end()) -
                              adjusted_.begin());
}

void Sampler::CollectCandidates() {
  candidates_.clear();
  const size_t n_kept = options_.top_k == 0
                            ? n_vocab_
                            : std::min<size_t>(static_cast<size_t>(options_.top_k), n_vocab_);
  const auto push = [this](size_t i) {
    candidates_.push_back({.logit = adjusted_[i], .token = static_cast<TokenId>(i)});
  };
  if (n_kept == n_vocab_) {
    candidates_.reserve(n_vocab_);
    for (size_t i = 0; i < n_vocab_; ++i)
      if (adjusted_[i] != kExcluded) push(i);
    return;
  }
  // A heap with the least likely in front: past the first few thousand tokens of a vocabulary
  // almost none enters it, and the scan costs one comparison each.
  const auto more_likely = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  for (size_t i = 0; i < n_vocab_; ++i) {
    if (adjusted_[i] == kExcluded) continue;
    if (candidates_.size() == n_kept) {
      if (adjusted_[i] <= candidates_.front().logit) continue;
      std::pop_heap(candidates_.begin(), candidates_.end(), more_likely);
      candidates_.pop_back();
    }
    push(i);
    std::push_heap(candidates_.begin(), candidates_.end(), more_likely);
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), more_likely);
}

void Sampler::ComputeProbabilities(double temperature) {
  double maximum = -std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : candidates_) maximum = std::max(maximum, candidate.logit);
  double sum = 0.0;
  for (Candidate& candidate : candidates_) {
    candidate.probability = std::exp((candidate.logit - maximum) / temperature);
    sum += candidate.probability;
  }
  for (Candidate& candidate : candidates_) candidate.probability /= sum;
}

void Sampler::KeepMass(double mass) {
  const auto by_rank = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.token < b.token;
  };
  double kept_mass = 0.0;
  size_t n_kept = 0;
  for (size_t chunk = 64; n_kept < candidates_.size(); chunk *= 4) {
    const auto begin = candidates_.begin() + static_cast<ptrdiff_t>(n_kept);
    const auto n_sorted = std::min(chunk, candidates_.size() - n_kept);
    const auto sorted_end = begin + static_cast<ptrdiff_t>(n_sorted);
    if (sorted_end != candidates_.end())
      std::nth_element(begin, sorted_end, candidates_.end(), by_rank);
    std::sort(begin, sorted_end, by_rank);
    for (auto candidate = begin; candidate != sorted_end; ++candidate) {
      kept_mass += candidate->probability;
      ++n_kept;
      if (kept_mass < mass) continue;
      candidates_.resize(n_kept);
      return;
    }
  }
}

// Locally typical sampling (Meister, Pimentel, Wiher and Cotterell, arXiv:2202.00666): keeps the
// tokens whose information is nearest to the distribution's entropy.
void Sampler::KeepTypical() {
  ComputeProbabilities(1.0);
  double entropy = 0.0;
  for (const Candidate& candidate : candidates_)
    if (candidate.probability > 0.0)
      entropy -= candidate.probability * std::log(candidate.probability);
  for (Candidate& candidate : candidates_)
    candidate.rank = std::abs(-std::log(candidate.probability) - entropy);
  KeepMass(static_cast<double>(options_.typical_p));
}

// Nucleus sampling (Holtzman, Buys, Du, Forbes and Choi, arXiv:1904.09751).
void Sampler::KeepTopP() {
  ComputeProbabilities(1.0);
  for (Candidate& candidate : candidates_) candidate.rank = -candidate.logit;
  KeepMass(static_cast<double>(options_.top_p));
}

// Keeps what is at least min_p times as likely as the most likely token, which is a distance
// between logits.
void Sampler::KeepMinP() {
  double maximum = -std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : candidates_) maximum = std::max(maximum, candidate.logit);
  const double least = maximum + std::log(static_cast<double>(options_.min_p));
  std::erase_if(candidates_,
                [least](const Candidate& candidate) { return candidate.logit < least; });
}

TokenId Sampler::Draw() {
  ComputeProbabilities(static_cast<double>(options_.temperature));
  double remaining = NextUniform();
  for (const Candidate& candidate : candidates_) {
    remaining -= candidate.probability;
    if (remaining < 0.0) return candidate.token;
  }
  // Rounding left a little of the unit interval over; it belongs to the last possible token.
  const auto last = std::find_if(candidates_.rbegin(), candidates_.rend(),
                                 [](const Candidate& c) { return c.probability > 0.0; });
  return last->token;
}

double Sampler::NextUniform() {
  // The golden ratio's fraction: an odd step that visits all 2^64 states.
  constexpr uint64_t kStep = 0x9e3779b97f4a7c15u;
  const uint64_t bits = Mix(Mix(options_.seed) + ++n_drawn_ * kStep);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace forge
