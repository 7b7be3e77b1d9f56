#include "engine/runtime/forward.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/kv_layout.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::ForwardHarness;
using testing::Logits;
using testing::TempFile;
using testing::TinyModelOptions;

TempFile Write(const TinyModelOptions& options) {
  return TempFile(testing::MakeTinyModel(options).Build());
}

std::vector<TokenId> Prompt(size_t n) {
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < n; ++i) tokens.push_back(static_cast<TokenId>(3 + i * 11 % 250));
  return tokens;
}

LoadOptions WithF32Cache() {
  LoadOptions options;
  options.kv_dtype = KvDType::kF32;
  options.prefill_chunk = 64;
  return options;
}

float LargestDifference(const Logits& a, const Logits& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0.0f;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

TEST(ForwardTest, GivesFiniteLogitsThatDependOnEveryToken) {
  const TempFile file = Write({});
  ForwardHarness model(file.path(), WithF32Cache());
  std::vector<TokenId> tokens = Prompt(12);
  const Logits logits = model.Feed(0, tokens, 64);
  for (const float logit : logits) ASSERT_TRUE(std::isfinite(logit));
  for (size_t i = 0; i < tokens.size(); ++i) {
    model.Reset();
    std::vector<TokenId> changed = tokens;
    changed[i] += 1;
    EXPECT_GT(LargestDifference(model.Feed(0, changed, 64), logits), 1e-4f) << "token " << i;
  }
}

// More rows of logits than the host takes at once, some of them as the greatest only.
TEST(ForwardTest, ManySequencesGetTheLogitsThatEachWouldGetAlone) {
  const TempFile file = Write({});
  LoadOptions options = WithF32Cache();
  options.context_length = 32;
  options.max_sequences = 256;
  ForwardHarness model(file.path(), options);
  const std::vector<TokenId> tokens = Prompt(options.max_sequences);
  const auto is_top = [](size_t s) { return s % 5 == 3 || s / 30 == 2; };
  StepBatch batch;
  for (uint32_t s = 0; s < options.max_sequences; ++s)
    batch.sequences.push_back(
        {.tokens = std::span(tokens).subspan(s, 1),
         .blocks = model.blocks(s),
         .wants = is_top(s) ? StepOutput::kTopLogits : StepOutput::kLastLogits,
         .n_top = 1});
  std::vector<Logits> rows(options.max_sequences);
  const Status status = model.forward().Run(batch, [&](size_t s, size_t token, const StepRow& row) {
    EXPECT_EQ(token, 0u);
    EXPECT_TRUE(rows[s].empty());
    rows[s].assign(row.values.begin(), row.values.end());
  });
  ASSERT_TRUE(status.ok()) << status.ToString();
  for (uint32_t s = 0; s < options.max_sequences; ++s) {
    SCOPED_TRACE(s);
    Logits alone = model.Step({{s, {tokens[s]}}}).front();
    if (is_top(s)) alone = {*std::ranges::max_element(alone)};
    EXPECT_LT(LargestDifference(rows[s], alone), 1e-4f);
  }
}

TEST(ForwardTest, GivesTheLogitsOfAsManyLastTokensAsAreWanted) {
  const TempFile file = Write({});
  LoadOptions options = WithF32Cache();
  options.max_sequences = 12;
  ForwardHarness model(file.path(), options);
  const std::vector<TokenId> tokens = Prompt(5);
  StepBatch batch;
  for (uint32_t s = 0; s < 4; ++s)
    batch.sequences.push_back(
        {.tokens = std::span(tokens).first(2 + s),
         .blocks = model.blocks(s),
         .wants = s % 2 == 0 ? StepOutput::kTopLogits : StepOutput::kLastLogits,
         .n_last = 1 + s % 3,
         .n_top = 1});
  std::vector<std::vector<Logits>> rows(4);  // of each sequence, in order
  const Status status = model.forward().Run(batch, [&](size_t s, size_t token, const StepRow& row) {
    const StepSequence& sequence = batch.sequences[s];
    EXPECT_EQ(token, sequence.tokens.size() - sequence.n_last + rows[s].size()) << s;
    rows[s].emplace_back(row.values.begin(), row.values.end());
  });
  ASSERT_TRUE(status.ok()) << status.ToString();
  std::vector<Logits> alone;
  for (const TokenId token : tokens) alone.push_back(model.Step({{5, {token}}}).front());
  for (uint32_t s = 0; s < 4; ++s) {
    SCOPED_TRACE(s);
    const StepSequence& sequence = batch.sequences[s];
    ASSERT_EQ(rows[s].size(), sequence.n_last);
    for (size_t i = 0; i < sequence.n_last; ++i) {
      Logits expected = alone[sequence.tokens.size() - sequence.n_last + i];
      if (s % 2 == 0) expected = {*std::ranges::max_element(expected)};
      EXPECT_LT(LargestDifference(rows[s][i], expected), 1e-4f) << i;
    }
  }
}

TEST(ForwardTest, AsksBetweenLayersWhetherToGoOn) {
  const TempFile file = Write({.n_layers = 3});
  ForwardHarness model(file.path(), WithF32Cache());
  const std::vector<TokenId> tokens = Prompt(12);
  int n_asked = 0, n_rows = 0, n_granted = 100;
  StepBatch batch;
  batch.sequences.push_back(
      {.tokens = tokens, .blocks = model.blocks(0), .wants = StepOutput::kLastLogits});
  batch.goes_on = [&] { return ++n_asked <= n_granted; };
  const auto run = [&] {
    n_asked = n_rows = 0;
    return model.forward().Run(batch, [&](size_t, size_t, const StepRow&) { ++n_rows; });
  };
  EXPECT_TRUE(run().ok());
  EXPECT_EQ(n_asked, 3);
  EXPECT_EQ(n_rows, 1);
  n_granted = 1;
  EXPECT_EQ(run().code(), StatusCode::kCancelled);
  EXPECT_EQ(n_asked, 2);
  EXPECT_EQ(n_rows, 0);
}

TEST(ForwardTest, QkvBiasChangesTheLogits) {
  TinyModelOptions options;
  options.architecture = "qwen2";
  const TempFile file = Write(options);
  ForwardHarness model(file.path(), WithF32Cache());
  const std::vector<TokenId> tokens = Prompt(12);
  const Logits with_bias = model.Feed(0, tokens, 64);
  const LayerWeights& layer = model.model().weights().layers[0];
  const ModelConfig& config = model.model().config();
  const std::pair<const float*, uint32_t> biases[] = {{layer.q_bias, config.QueryRowsOf(0)},
                                                      {layer.k_bias, config.HeadsOf(0).k_rows()},
                                                      {layer.v_bias, config.HeadsOf(0).v_rows()}};
  const std::unique_ptr<Stream> stream = model.device().CreateStream().value();
  for (const auto& [bias, n] : biases) {
    ASSERT_NE(bias, nullptr);
    std::vector<float> values(n);
    const std::vector<float> zeros(n, 0.0f);
    auto* on_device = const_cast<float*>(bias);  // NOLINT: the test changes the loaded model
    ASSERT_TRUE(model.device().CopyOut(values.data(), bias, n * 4, *stream).ok());
    ASSERT_TRUE(stream->Synchronize().ok());
    ASSERT_TRUE(model.device().CopyIn(on_device, zeros.data(), n * 4, *stream).ok());
    model.Reset();
    EXPECT_GT(LargestDifference(model.Feed(0, tokens, 64), with_bias), 1e-3f);
    ASSERT_TRUE(model.device().CopyIn(on_device, values.data(), n * 4, *stream).ok());
  }
  model.Reset();
  EXPECT_EQ(model.Feed(0, tokens, 64), with_bias);
}

TEST(ForwardTest, FusedAndSeparateQkvOfTheSameWeightsAgreeBitForBit) {
  for (const bool has_bias : {false, true}) {
    TinyModelOptions options;
    options.has_qkv_bias = has_bias;
    const TempFile separate = Write(options);
    options.has_fused_qkv = true;
    const TempFile fused = Write(options);
    ForwardHarness a(separate.path(), WithF32Cache());
    ForwardHarness b(fused.path(), WithF32Cache());
    EXPECT_EQ(a.Feed(0, Prompt(20), 64), b.Feed(0, Prompt(20), 64)) << "bias " << has_bias;
  }
}

// The same token at two positions has the same key before rotation, so in the cache the keys differ
// in the rotated elements only.
TEST(ForwardTest, ARotaryWidthSmallerThanTheHeadLeavesTheRestUntouched) {
  TinyModelOptions options;
  options.rope_dimension = 8;  // of 16
  const TempFile file = Write(options);
  ForwardHarness model(file.path(), WithF32Cache());
  ASSERT_EQ(model.model().config().head_dim, 16u);
  model.Feed(0, std::vector<TokenId>{42, 42}, 64);
  const KvLayerView cache = model.model().KvLayer(0);
  const auto key = [&](int64_t head, int64_t position, int64_t dimension) {
    const CpuKvPlace place = CpuKeyPlace(cache, 0, head, position);
    return reinterpret_cast<const float*>(place.elements)[dimension * cache.block_tokens];
  };
  for (int64_t head = 0; head < cache.n_kv_heads; ++head) {
    for (int64_t d = 0; d < 8; ++d) EXPECT_NE(key(head, 0, d), key(head, 1, d)) << "element " << d;
    for (int64_t d = 8; d < 16; ++d) EXPECT_EQ(key(head, 0, d), key(head, 1, d)) << "element " << d;
  }
}

TEST(ForwardTest, ARaggedBatchEqualsItsSequencesAlone) {
  const TempFile file = Write({});
  ForwardHarness model(file.path(), WithF32Cache());
  const std::vector<TokenId> first = Prompt(40), second = Prompt(5), third = {7};
  const Logits alone[] = {model.Feed(0, first, 64), model.Feed(1, second, 64),
                          model.Feed(2, third, 64)};
  model.Reset();
  const std::vector<Logits> together = model.Step({{2, first}, {0, second}, {1, third}});
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(together[i], alone[i]) << "sequence " << i;
}

TEST(ForwardTest, ChunksOfAPromptEqualTheWhole) {
  const TempFile file = Write({});
  ForwardHarness model(file.path(), WithF32Cache());
  const std::vector<TokenId> tokens = Prompt(61);
  const Logits whole = model.Feed(0, tokens, 64);
  for (const size_t chunk : {1u, 7u, 32u, 60u}) {
    model.Reset();
    EXPECT_EQ(model.Feed(0, tokens, chunk), whole) << "chunks of " << chunk;
  }
}

TEST(ForwardTest, AHalfPrecisionCacheChangesTheLogitsLittle) {
  const TempFile file = Write({});
  LoadOptions options = WithF32Cache();
  ForwardHarness exact(file.path(), options);
  options.kv_dtype = KvDType::kF16;
  ForwardHarness half(file.path(), options);
  const float difference =
      LargestDifference(exact.Feed(0, Prompt(60), 64), half.Feed(0, Prompt(60), 64));
  EXPECT_GT(difference, 0.0f);
  EXPECT_LT(difference, 1e-2f);
}

}  // namespace
}  // namespace forge
