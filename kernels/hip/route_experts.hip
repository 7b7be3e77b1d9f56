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
  const bool by_probability = args.selection_bias != nullptr || args.n_groups > 1;
  Probability probability = {is_sigmoid || by_probability, is_sigmoid, 0.0f, 1.0f};
  if (is_sigmoid || !by_probability) return probability;
  float greatest = -INFINITY;
  for (int e = lane; e < args.n_experts; e += kWave) greatest = fmaxf(greatest, Key(logits[e]));
  probability.greatest = WaveMax<kWave>(greatest);
  float sum = 0.0f;
  for (int e = lane; e < args.n_experts; e += kWave) sum += expf(logits[e] - probability.greatest);
  probability.total = WaveSum<kWave>(sum);
  return probability;
}

// What expert `e` is chosen by.
FORGE_DEVICE float KeyOf(const RouteExpertsArgs& args, const Probability& probability,
                         const float* logits, int e) {
  if (args.selection_bias != nullptr)
    return Key(probability.Of(logits[e]) + args.selection_bias[e]);
  return Key(args.n_groups > 1 ? probability.Of(logits[e]) : logits[e]);
}

// Bit g for each group g to choose from. A lane for each group.
template <int kWave>
FORGE_DEVICE uint32_t UsedGroups(const RouteExpertsArgs& args, const Probability& probability,
                                 const float* logits, int lane) {
  static_assert(kMaxExpertGroups <= kWave);
  if (args.n_groups == 1) return 1;
  const int group_size = args.n_experts / args.n_groups;
  const int end = lane < args.n_groups ? (lane + 1) * group_size : 0;
  float first = -INFINITY, second = -INFINITY;
  for (int e = lane * group_size; e < end; ++e) {
    const float key = KeyOf(args, probability, logits, e);
    second = fmaxf(second, fminf(first, key));
    first = fmaxf(first, key);
  }
  const Candidate own = {Key(first + second), lane};
  const Candidate none = {-INFINITY, kWave};
  Candidate last = {INFINITY, -1};
  uint32_t used = 0;
  for (int k = 0; k < args.n_groups_used; ++k) {
    last = FirstOfWave<kWave>(ComesBefore(last, own) ? own : none);
    used |= uint32_t{1} << last.expert;
  }
  return used;
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
  const uint32_t groups = UsedGroups<kWave>(args, probability, logits, lane);
  const int group_size = args.n_experts / args.n_groups;

  float greatest = 0.0f;  // the first expert's own logit, NaN included
  float chosen_sum = 0.0f;
  Candidate last = {INFINITY, -1};
  for (int k = 0; k < args.n_used; ++k) {
    Candidate best = {-INFINITY, args.n_experts};
    for (int e = lane; e < args.n_experts; e += kWave) {
      if ((groups >> (e / group_size) & 1) == 0) continue;
      const Candidate candidate = {KeyOf(args, probability, logits, e), e};
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
  for (int k = 0; k < args.n_used; ++k) {
    const float weight = weights[k] / total * args.scale;
    weights[k] = args.expert_scales == nullptr ? weight : weight * args.expert_scales[experts[k]];
  }
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
