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
float Key(float logit) {
  return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
}

// Writes the n_used experts with the highest logits, by falling logit, ties by rising index.
void ChooseExperts(const float* logits, int n_experts, int n_used, int32_t* experts) {
  int n_chosen = 0;
  for (int expert = 0; expert < n_experts; ++expert) {
    const float key = Key(logits[expert]);
    if (n_chosen == n_used && !(key > Key(logits[experts[n_used - 1]]))) continue;
    int place = n_chosen == n_used ? n_used - 1 : n_chosen++;
    for (; place > 0 && key > Key(logits[experts[place - 1]]); --place)
      experts[place] = experts[place - 1];
    experts[place] = expert;
  }
}

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

void RouteToken(const RouteExpertsArgs& args, const VectorKernels& kernels, int64_t token) {
  const float* logits = args.logits + token * args.n_experts;
  int32_t* experts = args.experts + token * args.n_used;
  float* weights = args.weights + token * args.n_used;
  ChooseExperts(logits, args.n_experts, args.n_used, experts);
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
