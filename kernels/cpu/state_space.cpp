#include "kernels/cpu/state_space.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/batch_check.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/head_state.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Tokens that go over a part of the state before the next part is taken: what they read and the
// part fit the first-level cache together.
constexpr int kChunkTokens = 16;

// One head of one sequence.
class StateSpaceHead {
 public:
  StateSpaceHead(const StateSpaceArgs& args, const VectorKernels& kernels, int sequence, int head)
      : args_(args),
        kernels_(kernels),
        sequence_(sequence),
        head_(head),
        dim_(args.head_dim),
        keys_begin_(int64_t{args.n_heads} * dim_ +
                    int64_t{head / (args.n_heads / args.n_groups)} * args.state_dim),
        row_elements_(int64_t{args.n_heads} * dim_ + 2 * int64_t{args.n_groups} * args.state_dim) {}

  void Run() {
    const RecurrentState& state = args_.state;
    const int64_t begin = args_.batch.first_token[sequence_];
    const int64_t end = args_.batch.first_token[sequence_ + 1];
    const int64_t kept = begin + state.kept_after[sequence_];
    BeginHeadState(state, sequence_, head_, args_.state_dim * dim_);
    RunTokens(begin, kept);
    KeepHeadState(state, sequence_, head_, args_.state_dim * dim_);
    RunTokens(kept, end);
  }

 private:
  void RunTokens(int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; token += kChunkTokens)
      RunChunk(token, static_cast<int>(std::min<int64_t>(kChunkTokens, end - token)));
  }

  void RunChunk(int64_t first, int n_tokens) {
    const int64_t n_state = args_.state_dim;
    for (int i = 0; i < n_tokens; ++i) {
      const int64_t at = (first + i) * args_.n_heads + head_;
      rates_[i] = Softplus(args_.step[at] + args_.step_bias[head_]);
      decays_[i] = std::exp(args_.decay[head_] * rates_[i]);
    }
    const float* const row = args_.xbc + first * row_elements_;
    kernels_.state_tokens(
        {.n_tokens = n_tokens,
         .key_dim = n_state,
         .value_dim = dim_,
         .state = HeadStateOf(args_.state, args_.state.to[sequence_], head_, n_state * dim_),
         .keys = row + keys_begin_,
         .queries = row + keys_begin_ + int64_t{args_.n_groups} * n_state,
         .key_stride = row_elements_,
         .values = row + head_ * dim_,
         .value_stride = row_elements_,
         .decays = decays_,
         .rates = rates_,
         .y = answers_});
    for (int i = 0; i < n_tokens; ++i) GateToken(first + i, answers_ + i * dim_);
  }

  void GateToken(int64_t token, float* answer) const {
    const float* const x = args_.xbc + token * row_elements_ + head_ * dim_;
    for (int64_t i = 0; i < dim_; ++i) answer[i] += args_.skip[head_] * x[i];
    const int64_t at = (token * args_.n_heads + head_) * dim_;
    kernels_.gated_activation[static_cast<int>(Activation::kSilu)](args_.gate + at, answer,
                                                                   args_.y + at, dim_);
  }

  const StateSpaceArgs& args_;
  const VectorKernels& kernels_;
  const int sequence_;
  const int head_;
  const int64_t dim_;
  const int64_t keys_begin_;    // where B of the head's group begins in a row
  const int64_t row_elements_;  // of xbc
  float answers_[kChunkTokens * kMaxStateHeadDim];
  float decays_[kChunkTokens];
  float rates_[kChunkTokens];
};

}  // namespace

Status CpuStateSpace(const StateSpaceArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(CheckSequences(args.batch).WithContext("state_space"));
  FORGE_TRY(CheckStates(args.batch, args.state).WithContext("state_space"));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  ForEachHead(cpu.pool(), args.batch, args.n_heads, int64_t{args.state_dim} * args.head_dim,
              [&](int sequence, int head) { StateSpaceHead(args, kernels, sequence, head).Run(); });
  return Status();
}

}  // namespace forge
