#include "kernels/cpu/rope.h"

#include <cmath>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Pairs whose sines and cosines are computed together; a head rarely has more.
constexpr int kMaxPairs = 128;

// The sines and cosines of a token for some adjacent pairs, in the order that the kernel takes.
struct Rotation {
  alignas(64) float cosines[2 * kMaxPairs];
  alignas(64) float sines[2 * kMaxPairs];
};

void ComputeRotation(const RopeArgs& args, int64_t token, int first_pair, int n_pairs,
                     Rotation& rotation) {
  const double position = args.positions[token];
  for (int i = 0; i < n_pairs; ++i) {
    const double angle = position * static_cast<double>(args.frequencies[first_pair + i]);
    const float cosine = static_cast<float>(std::cos(angle) * static_cast<double>(args.scale));
    const float sine = static_cast<float>(std::sin(angle) * static_cast<double>(args.scale));
    if (args.halves) {
      rotation.cosines[i] = cosine;
      rotation.sines[i] = sine;
    } else {
      rotation.cosines[2 * i] = rotation.cosines[2 * i + 1] = cosine;
      rotation.sines[2 * i] = -sine;
      rotation.sines[2 * i + 1] = sine;
    }
  }
}

}  // namespace

Status CpuRope(const RopeArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  const int n_pairs = args.rotary_dim / 2;
  const int64_t token_stride = static_cast<int64_t>(args.n_heads) * args.head_dim;
  const auto rotate_token = [&](int64_t token) {
    Rotation rotation;
    for (int first = 0; first < n_pairs; first += kMaxPairs) {
      const int n = n_pairs - first < kMaxPairs ? n_pairs - first : kMaxPairs;
      ComputeRotation(args, token, first, n, rotation);
      for (int head = 0; head < args.n_heads; ++head) {
        float* x = args.x + token * token_stride + static_cast<int64_t>(head) * args.head_dim;
        if (args.halves) {
          kernels.rotate_halves(x + first, x + first + n_pairs, rotation.cosines, rotation.sines,
                                n);
        } else {
          kernels.rotate_neighbours(x + 2 * static_cast<int64_t>(first), rotation.cosines,
                                    rotation.sines, n);
        }
      }
    }
  };
  // A sine and a cosine cost as much as some 50 elements.
  const int64_t cost = token_stride + 50 * static_cast<int64_t>(n_pairs);
  ParallelRows(cpu.pool(), args.n_tokens, cost, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) rotate_token(token);
  });
  return Status();
}

}  // namespace forge
