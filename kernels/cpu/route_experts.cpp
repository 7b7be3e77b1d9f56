#include "kernels/cpu/route_experts.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Exponentials that are computed together.
constexpr int kExponentials = 256;

// NaN compares with nothing, and an expert's place must not depend on that.
float Key(float key) { return std::isnan(key) ? -std::numeric_limits<float>::infinity() : key; }

// The experts with the highest keys among those that were offered, by falling key, ties by the
// order in which they were offered.
class Choice {
 public:
  // Both arrays: [n_used].
  Choice(int32_t* experts, float* keys, int n_used)
      : experts_(experts), keys_(keys), n_used_(n_used) {}

  void Offer(int expert, float key) {
    if (n_chosen_ == n_used_ && !(key > keys_[n_used_ - 1])) return;
    int place = n_chosen_ == n_used_ ? n_used_ - 1 : n_chosen_++;
    for (; place > 0 && key > keys_[place - 1]; --place) {
      experts_[place] = experts_[place - 1];
      keys_[place] = keys_[place - 1];
    }
    experts_[place] = expert;
    keys_[place] = key;
  }

 private:
  int32_t* const experts_;
  float* const keys_;
  const int n_used_;
  int n_chosen_ = 0;
};

double SumOfExponentials(const VectorKernels& kernels, const float* x, int n, float shift) {
  float exponentials[kExponentials];
  double sum = 0.0;
  for (int first = 0; first < n; first += kExponentials) {
    const int part = std::min(kExponentials, n - first);
    kernels.exponentials(x + first, shift, exponentials, part);
    for (int i = 0; i < part; ++i) sum += static_cast<double>(exponentials[i]);
  }
  return sum;
}

// Where the chosen keep their share of a softmax, or the softmax is over them alone.
void WeighBySoftmax(const RouteExpertsArgs& args, const VectorKernels& kernels, const float* logits,
                    const int32_t* experts, float* weights) {
  const float greatest = logits[experts[0]];
  for (int k = 0; k < args.n_used; ++k) weights[k] = logits[experts[k]];
  kernels.exponentials(weights, greatest, weights, args.n_used);
  double chosen = 0.0;
  for (int k = 0; k < args.n_used; ++k) chosen += static_cast<double>(weights[k]);
  // Dividing by the sum of the chosen weights undoes any softmax that came before.
  const bool over_chosen = args.normalize || args.gate == ExpertGate::kTopKThenSoftmax;
  const double total =
      over_chosen ? chosen : SumOfExponentials(kernels, logits, args.n_experts, greatest);
  for (int k = 0; k < args.n_used; ++k)
    weights[k] = static_cast<float>(static_cast<double>(weights[k]) / total *
                                    static_cast<double>(args.scale));
}

// What each logit of a token stands for by itself, once the softmax over all is known.
struct Probability {
  Probability(const RouteExpertsArgs& args, const VectorKernels& vector_kernels,
              const float* logits)
      : kernels(vector_kernels), is_sigmoid(args.gate == ExpertGate::kSigmoid) {
    if (is_sigmoid) return;
    greatest = Key(logits[0]);
    for (int i = 1; i < args.n_experts; ++i) greatest = std::max(greatest, Key(logits[i]));
    total = static_cast<float>(SumOfExponentials(kernels, logits, args.n_experts, greatest));
  }

  // Of n values at most kExponentials; x and p may be one array.
  void Of(const float* x, float* p, int n) const {
    if (is_sigmoid) {
      for (int i = 0; i < n; ++i) p[i] = -x[i];
      kernels.exponentials(p, 0.0f, p, n);
      for (int i = 0; i < n; ++i) p[i] = 1.0f / (1.0f + p[i]);
    } else {
      kernels.exponentials(x, greatest, p, n);
      for (int i = 0; i < n; ++i) p[i] /= total;
    }
  }

  const VectorKernels& kernels;
  const bool is_sigmoid;
  float greatest = 0.0f, total = 1.0f;
};

// Calls `take` with each expert and what it is chosen by, in order.
template <typename Take>
void ForEachKey(const RouteExpertsArgs& args, const Probability& probability, const float* logits,
                const Take& take) {
  float p[kExponentials];
  for (int first = 0; first < args.n_experts; first += kExponentials) {
    const int part = std::min(kExponentials, args.n_experts - first);
    probability.Of(logits + first, p, part);
    for (int i = 0; i < part; ++i) {
      const float bias = args.selection_bias != nullptr ? args.selection_bias[first + i] : 0.0f;
      take(first + i, Key(p[i] + bias));
    }
  }
}

// Bit g for each group g to choose from.
uint32_t UsedGroups(const RouteExpertsArgs& args, const Probability& probability,
                    const float* logits) {
  if (args.n_groups == 1) return 1;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  float first[kMaxExpertGroups], second[kMaxExpertGroups];
  std::fill_n(first, args.n_groups, kLowest);
  std::fill_n(second, args.n_groups, kLowest);
  const int group_size = args.n_experts / args.n_groups;
  ForEachKey(args, probability, logits, [&](int expert, float key) {
    const int group = expert / group_size;
    second[group] = std::max(second[group], std::min(first[group], key));
    first[group] = std::max(first[group], key);
  });
  int32_t groups[kMaxExpertGroups];
  float sums[kMaxExpertGroups];
  Choice choice(groups, sums, args.n_groups_used);
  for (int group = 0; group < args.n_groups; ++group)
    choice.Offer(group, Key(first[group] + second[group]));
  uint32_t used = 0;
  for (int k = 0; k < args.n_groups_used; ++k) used |= uint32_t{1} << groups[k];
  return used;
}

void ChooseByProbability(const RouteExpertsArgs& args, const Probability& probability,
                         const float* logits, Choice choice) {
  const uint32_t used = UsedGroups(args, probability, logits);
  const int group_size = args.n_experts / args.n_groups;
  ForEachKey(args, probability, logits, [&](int expert, float key) {
    if ((used >> (expert / group_size) & 1) != 0) choice.Offer(expert, key);
  });
}

void WeighByProbability(const RouteExpertsArgs& args, const Probability& probability,
                        const float* logits, const int32_t* experts, float* weights) {
  double sum = kLeastWeightSum;
  for (int first = 0; first < args.n_used; first += kExponentials) {
    const int part = std::min(kExponentials, args.n_used - first);
    for (int k = first; k < first + part; ++k) weights[k] = logits[experts[k]];
    probability.Of(weights + first, weights + first, part);
    for (int k = first; k < first + part; ++k) sum += static_cast<double>(weights[k]);
  }
  const double factor = static_cast<double>(args.scale) / (args.normalize ? sum : 1.0);
  for (int k = 0; k < args.n_used; ++k)
    weights[k] = static_cast<float>(static_cast<double>(weights[k]) * factor);
}

void Route(const RouteExpertsArgs& args, const VectorKernels& kernels, const float* logits,
           int32_t* experts, float* weights) {
  Choice choice(experts, /*keys=*/weights, args.n_used);
  const bool by_logit = args.selection_bias == nullptr && args.n_groups == 1;
  if (by_logit)
    for (int expert = 0; expert < args.n_experts; ++expert)
      choice.Offer(expert, Key(logits[expert]));
  if (by_logit && args.gate != ExpertGate::kSigmoid)
    return WeighBySoftmax(args, kernels, logits, experts, weights);
  const Probability probability(args, kernels, logits);
  if (!by_logit) ChooseByProbability(args, probability, logits, choice);
  WeighByProbability(args, probability, logits, experts, weights);
}

void RouteToken(const RouteExpertsArgs& args, const VectorKernels& kernels, int64_t token) {
  int32_t* experts = args.experts + token * args.n_used;
  float* weights = args.weights + token * args.n_used;
  Route(args, kernels, args.logits + token * args.n_experts, experts, weights);
  if (args.expert_scales == nullptr) return;
  for (int k = 0; k < args.n_used; ++k) weights[k] *= args.expert_scales[experts[k]];
}

}  // namespace

Status CpuRouteExperts(const RouteExpertsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  // Choosing and an exponential make a logit eight times as dear as a plain element.
  ParallelRows(cpu.pool(), args.n_tokens, 8 * static_cast<int64_t>(args.n_experts),
               [&](int64_t begin, int64_t end) {
                 for (int64_t token = begin; token < end; ++token) RouteToken(args, kernels, token);
               });
  return Status();
}

}  // namespace forge
