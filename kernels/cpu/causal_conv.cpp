#include "kernels/cpu/causal_conv.h"

#include <algorithm>

#include "kernels/cpu/batch_check.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Channels that go through all tokens together. What a token needs of them, n_taps rows, weights
// and results, stays in the first-level cache.
constexpr int kRangeChannels = 256;

// Channels [first, first + n) of all sequences. A state is [n_taps - 1, n_channels], the oldest
// token first.
class ConvRange {
 public:
  ConvRange(const CausalConvArgs& args, const VectorKernels& kernels, int64_t range)
      : args_(args),
        kernels_(kernels),
        first_(range * kRangeChannels),
        n_(std::min<int64_t>(kRangeChannels, args.n_channels - first_)),
        n_history_(args.n_taps - 1) {
    for (int k = 0; k < args.n_taps; ++k)
      for (int64_t c = 0; c < n_; ++c)
        weights_[k * n_ + c] = args.weight[(first_ + c) * args.n_taps + k];
  }

  void Run(int sequence) {
    const RecurrentState& state = args_.state;
    begin_ = args_.batch.first_token[sequence];
    const int64_t n_tokens = args_.batch.first_token[sequence + 1] - begin_;
    ReadHistory(state.from[sequence]);
    for (int64_t token = 0; token < n_tokens; ++token) {
      if (args_.x_gate != nullptr) GateToken(token);
      Convolve(token);
      if (token + 1 == state.kept_after[sequence]) WriteState(state.kept_to[sequence], token + 1);
    }
    WriteState(state.to[sequence], n_tokens);
  }

 private:
  // The channels of the sequence's token `token` of this step.
  template <typename Float>
  Float* RowOf(Float* x, int64_t token) const {
    return x + (begin_ + token) * args_.n_channels + first_;
  }

  // What is convolved of a token, which was before this step if it is negative. Of those that were
  // gated the last n_taps are there.
  const float* Convolved(int64_t token) const {
    if (token < 0) return history_[n_history_ + token];
    return args_.x_gate != nullptr ? gated_[token % args_.n_taps] : RowOf(args_.x, token);
  }

  void GateToken(int64_t token) {
    const float* const x = RowOf(args_.x, token);
    const float* const gate = RowOf(args_.x_gate, token);
    float* const gated = gated_[token % args_.n_taps];
    for (int64_t c = 0; c < n_; ++c) gated[c] = x[c] * gate[c];
  }

  void Convolve(int64_t token) const {
    const float* rows[kMaxConvTaps];
    for (int k = 0; k < args_.n_taps; ++k) rows[k] = Convolved(token - n_history_ + k);
    kernels_.convolve({.rows = rows,
                       .weights = weights_,
                       .bias = args_.bias == nullptr ? nullptr : args_.bias + first_,
                       .gate = args_.y_gate == nullptr ? nullptr : RowOf(args_.y_gate, token),
                       .y = RowOf(args_.y, token),
                       .n_taps = args_.n_taps,
                       .n = n_});
  }

  float* StateRow(int32_t slot, int row) const {
    return args_.state.data + slot * args_.state.slot_stride + int64_t{row} * args_.n_channels +
           first_;
  }

  // A copy, since the slot may be one that is written.
  void ReadHistory(int32_t slot) {
    for (int row = 0; row < n_history_; ++row) {
      if (slot < 0)
        std::fill_n(history_[row], n_, 0.0f);
      else
        std::copy_n(StateRow(slot, row), n_, history_[row]);
    }
  }

  // The state after `n_tokens` of this step, the last of which was convolved last.
  void WriteState(int32_t slot, int64_t n_tokens) const {
    for (int row = 0; row < n_history_; ++row)
      std::copy_n(Convolved(n_tokens - n_history_ + row), n_, StateRow(slot, row));
  }

  const CausalConvArgs& args_;
  const VectorKernels& kernels_;
  const int64_t first_;
  const int64_t n_;
  const int n_history_;
  int64_t begin_ = 0;                             // the sequence's first token of this step
  float weights_[kMaxConvTaps * kRangeChannels];  // [n_taps, n_]
  float history_[kMaxConvTaps - 1][kRangeChannels];
  float gated_[kMaxConvTaps][kRangeChannels];
};

}  // namespace

Status CpuCausalConv(const CausalConvArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(CheckSequences(args.batch).WithContext("causal_conv"));
  FORGE_TRY(CheckStates(args.batch, args.state).WithContext("causal_conv"));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  const int64_t n_ranges = (args.n_channels + kRangeChannels - 1) / kRangeChannels;
  // An exponential and a division are worth some four taps, and so is a state's share.
  const int64_t cost = int64_t{args.batch.n_tokens} * kRangeChannels * (args.n_taps + 8);
  ParallelRows(cpu.pool(), n_ranges, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ConvRange range(args, kernels, i);
      for (int s = 0; s < args.batch.n_sequences; ++s) range.Run(s);
    }
  });
  return Status();
}

}  // namespace forge
