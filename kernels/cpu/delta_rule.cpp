#include "kernels/cpu/delta_rule.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/batch_check.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/head_state.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Tokens that go over a part of the state before the next part is taken: their keys and queries
// and the part fit the first-level cache together.
constexpr int kChunkTokens = 16;

constexpr float kKeyEpsilon = 1e-6f;

// One value head of one sequence.
class DeltaHead {
 public:
  DeltaHead(const DeltaRuleArgs& args, const VectorKernels& kernels, int sequence, int head)
      : args_(args),
        kernels_(kernels),
        sequence_(sequence),
        head_(head),
        key_head_(args.spreads_key_heads ? head / (args.n_value_heads / args.n_key_heads)
                                         : head % args.n_key_heads),
        dim_(args.head_dim),
        row_elements_((2 * int64_t{args.n_key_heads} + args.n_value_heads) * dim_) {}

  void Run() {
    const RecurrentState& state = args_.state;
    const int64_t begin = args_.batch.first_token[sequence_];
    const int64_t end = args_.batch.first_token[sequence_ + 1];
    const int64_t kept = begin + state.kept_after[sequence_];
    BeginHeadState(state, sequence_, head_, dim_ * dim_);
    RunTokens(begin, kept);
    KeepHeadState(state, sequence_, head_, dim_ * dim_);
    RunTokens(kept, end);
  }

 private:
  void RunTokens(int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; token += kChunkTokens)
      RunChunk(token, static_cast<int>(std::min<int64_t>(kChunkTokens, end - token)));
  }

  void RunChunk(int64_t first, int n_tokens) {
    for (int i = 0; i < n_tokens; ++i) ReadToken(first + i, i);
    const int64_t values_begin = 2 * int64_t{args_.n_key_heads} * dim_;
    kernels_.delta_tokens(
        {.n_tokens = n_tokens,
         .key_dim = dim_,
         .value_dim = dim_,
         .state = HeadStateOf(args_.state, args_.state.to[sequence_], head_, dim_ * dim_),
         .keys = keys_,
         .queries = queries_,
         .key_stride = dim_,
         .values = args_.qkv + first * row_elements_ + values_begin + head_ * dim_,
         .value_stride = row_elements_,
         .decays = decays_,
         .rates = rates_,
         .y = answers_});
    for (int i = 0; i < n_tokens; ++i) {
      const int64_t at = ((first + i) * args_.n_value_heads + head_) * dim_;
      kernels_.gated_norm(answers_ + i * dim_, args_.norm_weight, args_.gate + at, args_.y + at,
                          dim_, args_.epsilon);
    }
  }

  // What a token's heads and numbers make, into place i of the chunk.
  void ReadToken(int64_t token, int i) {
    const float* row = args_.qkv + token * row_elements_;
    const float query_scale = 1.0f / std::sqrt(static_cast<float>(dim_));
    kernels_.normalize(row + key_head_ * dim_, queries_ + i * dim_, dim_, query_scale, kKeyEpsilon);
    kernels_.normalize(row + (args_.n_key_heads + key_head_) * dim_, keys_ + i * dim_, dim_, 1.0f,
                       kKeyEpsilon);
    const int64_t at = token * args_.n_value_heads + head_;
    decays_[i] = std::exp(args_.decay[head_] * Softplus(args_.alpha[at] + args_.alpha_bias[head_]));
    rates_[i] = 1.0f / (1.0f + std::exp(-args_.beta[at]));
  }

  const DeltaRuleArgs& args_;
  const VectorKernels& kernels_;
  const int sequence_;
  const int head_;
  const int64_t key_head_;
  const int64_t dim_;
  const int64_t row_elements_;  // of qkv
  float keys_[kChunkTokens * kMaxDeltaHeadDim];
  float queries_[kChunkTokens * kMaxDeltaHeadDim];
  float answers_[kChunkTokens * kMaxDeltaHeadDim];
  float decays_[kChunkTokens];
  float rates_[kChunkTokens];
};

}  // namespace

Status CpuDeltaRule(const DeltaRuleArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(CheckSequences(args.batch).WithContext("delta_rule"));
  FORGE_TRY(CheckStates(args.batch, args.state).WithContext("delta_rule"));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  ForEachHead(cpu.pool(), args.batch, args.n_value_heads, int64_t{args.head_dim} * args.head_dim,
              [&](int sequence, int head) { DeltaHead(args, kernels, sequence, head).Run(); });
  return Status();
}

}  // namespace forge
