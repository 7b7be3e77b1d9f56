#include "kernels/hip/launch.h"
#include "kernels/hip/route_experts.h"
#include "kernels/hip/wave_reduce.h"

namespace forge {
namespace {

// An expert and what it is chosen by: greater logits first, then lower indices. NaN compares with
// nothing, so it counts as the lowest.
struct Candidate {
  float key;
  int expert;
};

FORGE_DEVICE float Key(float key) { return key == key ? key : -INFINITY; }

FORGE_DEVICE bool ComesBefore(const Candidate& a, const Candidate& b) {
  return a.key > b.key || (a.key == b.key && a.expert < b.expert);
}

// The first of the wave's candidates, in every lane.
template <int kWave>
FORGE_DEVICE Candidate FirstOfWave(Candidate candidate) {
  FORGE_UNROLL
  for (int mask = 1; mask < kWave; mask *= 2) {
    const Candidate other = {ShuffleXor<kWave>(candidate.key, mask),
                             ShuffleXor<kWave>(candidate.expert, mask)};
    if (ComesBefore(other, candidate)) candidate = other;
  }
  return candidate;
}

// What each logit of a token stands for by itself. `is_needed` where experts are chosen or weighed
// by that; else the softmax over all is left unknown.
struct Probability {
  bool is_needed, is_sigmoid;
  float greatest, total;

  FORGE_DEVICE float Of(float logit) const {
    return is_sigmoid ? 1.0f / (1.0f + expf(-logit)) : expf(logit - greatest) / total;
  }
};

template <int kWave>
FORGE_DEVICE Probability ProbabilityOf(const RouteExpertsArgs& args, const float* logits,
                                       int lane) {
  const bool is_sigmoid = args.gate == ExpertGate::kSigmoid;
  const bool has_bias = args.selection_bias != nullptr;
  Probability probability = {is_sigmoid || has_bias, is_sigmoid, 0.0f, 1.0f};
  if (is_sigmoid || !has_bias) return probability;
  float greatest = -INFINITY;
  for (int e = lane; e < args.n_experts; e += kWave) greatest = fmaxf(greatest, Key(logits[e]));
  probability.greatest = WaveMax<kWave>(greatest);
  float sum = 0.0f;
  for (int e = lane; e < args.n_experts; e += kWave) sum += expf(logits[e] - probability.greatest);
  probability.total = WaveSum<kWave>(sum);
  return probability;
}

// A wave for each token. Round k takes the first of the candidates that come after the one chosen
// in round k - 1, which needs no memory of those chosen before.
template <int kWave>
__global__ void __launch_bounds__(kWave) RouteExpertsKernel(RouteExpertsArgs args) {
  const int64_t token = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const float* logits = args.logits + token * args.n_experts;
  int32_t* experts = args.experts + token * args.n_used;
  float* weights = args.weights + token * args.n_used;
  const Probability probability = ProbabilityOf<kWave>(args, logits, lane);

  float greatest = 0.0f;  // the first expert's own logit, NaN included
  float chosen_sum = 0.0f;
  Candidate last = {INFINITY, -1};
  for (int k = 0; k < args.n_used; ++k) {
    Candidate best = {-INFINITY, args.n_experts};
    for (int e = lane; e < args.n_experts; e += kWave) {
      const float key = args.selection_bias == nullptr
                            ? logits[e]
                            : probability.Of(logits[e]) + args.selection_bias[e];
      const Candidate candidate = {Key(key), e};
      if (ComesBefore(last, candidate) && ComesBefore(candidate, best)) best = candidate;
    }
    last = FirstOfWave<kWave>(best);
    const float logit = logits[last.expert];
    if (k == 0) greatest = logit;
    const float weight = probability.is_needed ? probability.Of(logit) : expf(logit - greatest);
    chosen_sum += weight;
    if (lane == 0) {
      experts[k] = last.expert;
      weights[k] = weight;
    }
  }
  float total = chosen_sum;
  if (probability.is_needed) {
    total = args.normalize ? chosen_sum + static_cast<float>(kLeastWeightSum) : 1.0f;
  } else if (!args.normalize && args.gate == ExpertGate::kSoftmaxThenTopK) {
    // Dividing by the sum of the chosen weights, as above, undoes any softmax that came before.
    float sum = 0.0f;
    for (int e = lane; e < args.n_experts; e += kWave) sum += expf(logits[e] - greatest);
    total = WaveSum<kWave>(sum);
  }
  if (lane != 0) return;
  for (int k = 0; k < args.n_used; ++k) weights[k] = weights[k] / total * args.scale;
}

}  // namespace

Status HipRouteExperts(const RouteExpertsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0) return Status();
  HipStream& hip = AsHip(stream);
  const auto n_tokens = static_cast<unsigned>(args.n_tokens);
  if (hip.wave_size() == 64)
    return LaunchKernel("route_experts", RouteExpertsKernel<64>, {.grid = n_tokens, .block = 64},
                        hip, args);
  return LaunchKernel("route_experts", RouteExpertsKernel<32>, {.grid = n_tokens, .block = 32}, hip,
                      args);
}

}  // namespace forge
