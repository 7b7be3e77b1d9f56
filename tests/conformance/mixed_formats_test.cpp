// A model in which every weight has another format, against the same weights in float32.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <random>
#include <set>

#include "kernels/base/log_sum_exp.h"
#include "kernels/formats/format.h"
#include "tests/conformance/copy_model.h"
#include "tests/conformance/expand_weights.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/kernels/random_weights.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::ForwardHarness;
using testing::Logits;
using testing::TempFile;

// Rounding activations to int8 costs 0.0001 here; a matrix that is read wrongly costs tenths.
constexpr double kLargestDivergence = 0.001;

// KL(p ‖ q) of the distributions that the logits describe.
double KlDivergence(const Logits& p, const Logits& q) {
  const double p_sum = LogSumExp(p), q_sum = LogSumExp(q);
  double divergence = 0.0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = static_cast<double>(p[i]) - p_sum;
    const double log_q = static_cast<double>(q[i]) - q_sum;
    divergence += std::exp(log_p) * (log_p - log_q);
  }
  return divergence;
}

// A tiny model whose matrices take the known formats in turn, the first of them `first_format`.
std::string MixedModel(size_t first_format) {
  testing::TinyModelOptions options;
  options.n_layers = 4;
  options.n_embd = 256;
  options.n_ff = 512;
  const TempFile plain(testing::MakeTinyModel(options).Build());
  const std::unique_ptr<GgufFile> file = GgufFile::Open(plain.path().string()).value();
  testing::GgufBuilder builder;
  testing::CopyMetadata(*file, builder);
  std::mt19937 rng(7);
  size_t next = first_format;
  std::set<DType> used;
  for (const GgufTensor& tensor : file->tensors()) {
    if (tensor.n_dims == 1) {
      testing::AddTensorLike(tensor, tensor.dtype, testing::ReadTensor(*file, tensor), builder);
      continue;
    }
    const DType dtype = KnownFormats()[next++ % KnownFormats().size()].dtype;
    used.insert(dtype);
    const float size = tensor.name == "token_embd.weight"
                           ? 1.0f
                           : 1.0f / std::sqrt(static_cast<float>(tensor.row_elements()));
    testing::AddTensorLike(
        tensor, dtype,
        testing::RandomWeightsOfSize(dtype, static_cast<int64_t>(tensor.n_rows()),
                                     static_cast<int64_t>(tensor.row_elements()), size, rng),
        builder);
  }
  EXPECT_EQ(used.size(), KnownFormats().size());
  return builder.Build();
}

TEST(MixedFormatsTest, AgreeWithTheSameWeightsInFloat32) {
  LoadOptions options;
  options.kv_dtype = KvDType::kF32;
  for (size_t first_format = 0; first_format < KnownFormats().size(); first_format += 7) {
    SCOPED_TRACE("first format " + std::string(KnownFormats()[first_format].name));
    const TempFile mixed(MixedModel(first_format));
    const TempFile expanded(testing::ExpandWeights(mixed.path()));
    ForwardHarness ours(mixed.path(), options);
    ForwardHarness exact(expanded.path(), options);
    const std::vector<TokenId> prompt = {72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100};
    const Logits expected = exact.Feed(0, prompt, options.prefill_chunk);
    const double divergence = KlDivergence(expected, ours.Feed(0, prompt, options.prefill_chunk));
    std::cout << "mixed formats, " << KnownFormats()[first_format].name << " first: KL "
              << divergence << '\n';
    EXPECT_LE(divergence, kLargestDivergence);
    // Also token by token.
    ours.Reset();
    EXPECT_LE(KlDivergence(expected, ours.Feed(0, prompt, 1)), kLargestDivergence);
  }
}

}  // namespace
}  // namespace forge
