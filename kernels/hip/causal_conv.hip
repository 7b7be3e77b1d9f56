#include <string>

#include "kernels/hip/causal_conv.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/state_slots.h"

namespace forge {
namespace {

constexpr int kThreads = 64;  // few, so that one long prompt has many blocks

// What a channel's next token needs of those before, [kTaps - 1, n_channels], the oldest first.
template <int kTaps>
FORGE_DEVICE void StoreWindow(const float (&window)[kTaps], int n_channels, int channel,
                              float* state) {
  FORGE_UNROLL
  for (int k = 1; k < kTaps; ++k)
    state[static_cast<int64_t>(k - 1) * n_channels + channel] = window[k];
}

// A thread for each channel of a sequence goes along its tokens with the last kTaps of them in
// registers. It has read its part of the state before it writes any.
template <int kTaps>
__global__ void __launch_bounds__(kThreads)
    CausalConvKernel(CausalConvArgs args, int blocks_of_sequence) {
  const int sequence = static_cast<int>(blockIdx.x) / blocks_of_sequence;
  const int channel =
      static_cast<int>(blockIdx.x) % blocks_of_sequence * kThreads + static_cast<int>(threadIdx.x);
  const int n_channels = args.n_channels;
  if (channel >= n_channels) return;
  const SequenceStates states = FindStates(args.batch, args.state, sequence);
  float weight[kTaps];
  float window[kTaps];  // the newest last
  const float bias = args.bias == nullptr ? 0.0f : args.bias[channel];
  window[0] = 0.0f;
  FORGE_UNROLL
  for (int k = 0; k < kTaps; ++k) {
    weight[k] = args.weight[static_cast<int64_t>(channel) * kTaps + k];
    if (k > 0)
      window[k] = states.from == nullptr
                      ? 0.0f
                      : states.from[static_cast<int64_t>(k - 1) * n_channels + channel];
  }
  for (int token = states.begin; token < states.end; ++token) {
    const int64_t at = static_cast<int64_t>(token) * n_channels + channel;
    FORGE_UNROLL
    for (int k = 1; k < kTaps; ++k) window[k - 1] = window[k];
    window[kTaps - 1] = args.x_gate == nullptr ? args.x[at] : args.x[at] * args.x_gate[at];
    float sum = bias;
    FORGE_UNROLL
    for (int k = 0; k < kTaps; ++k) sum = fmaf(weight[k], window[k], sum);
    const float y = args.y_gate == nullptr ? sum / (1.0f + expf(-sum)) : sum * args.y_gate[at];
    args.y[at] = states.is_valid ? y : NAN;
    if (states.kept_after != 0 && token + 1 - states.begin == states.kept_after)
      StoreWindow(window, n_channels, channel, states.kept);
  }
  if (states.is_valid && states.begin < states.end)
    StoreWindow(window, n_channels, channel, states.to);
}

template <int kTaps>
Status Launch(const CausalConvArgs& args, HipStream& stream) {
  const int blocks_of_sequence =
      static_cast<int>((int64_t{args.n_channels} + kThreads - 1) / kThreads);
  const int64_t n_blocks = int64_t{args.batch.n_sequences} * blocks_of_sequence;
  if (n_blocks > INT32_MAX)
    return InvalidArgument(
        "causal_conv: sequences times channels are too many for one launch: blocks " +
        std::to_string(n_blocks));
  return LaunchKernel("causal_conv", CausalConvKernel<kTaps>,
                      {.grid = static_cast<unsigned>(n_blocks), .block = kThreads}, stream, args,
                      blocks_of_sequence);
}

}  // namespace

Status HipCausalConv(const CausalConvArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  HipStream& hip = AsHip(stream);
  static_assert(kMaxConvTaps == 8);
  switch (args.n_taps) {
    case 2:
      return Launch<2>(args, hip);
    case 3:
      return Launch<3>(args, hip);
    case 4:
      return Launch<4>(args, hip);
    case 5:
      return Launch<5>(args, hip);
    case 6:
      return Launch<6>(args, hip);
    case 7:
      return Launch<7>(args, hip);
    default:
      return Launch<8>(args, hip);
  }
}

}  // namespace forge
