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

void ChooseByBias(const RouteExpertsArgs& args, const Probability& probability, const float* logits,
                  Choice choice) {
  float p[kExponentials];
  for (int first = 0; first < args.n_experts; first += kExponentials) {
    const int part = std::min(kExponentials, args.n_experts - first);
    probability.Of(logits + first, p, part);
    for (int i = 0; i < part; ++i)
      choice.Offer(first + i, Key(p[i] + args.selection_bias[first + i]));
  }
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

void RouteToken(const RouteExpertsArgs& args, const VectorKernels& kernels, int64_t token) {
  const float* logits = args.logits + token * args.n_experts;
  int32_t* experts = args.experts + token * args.n_used;
  float* weights = args.weights + token * args.n_used;
  Choice choice(experts, /*keys=*/weights, args.n_used);
  const bool has_bias = args.selection_bias != nullptr;
  if (!has_bias)
    for (int expert = 0; expert < args.n_experts; ++expert)
      choice.Offer(expert, Key(logits[expert]));
  if (!has_bias && args.gate != ExpertGate::kSigmoid)
    return WeighBySoftmax(args, kernels, logits, experts, weights);
  const Probability probability(args, kernels, logits);
  if (has_bias) ChooseByBias(args, probability, logits, choice);
  WeighByProbability(args, probability, logits, experts, weights);
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
