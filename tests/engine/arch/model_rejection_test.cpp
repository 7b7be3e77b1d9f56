// Well-formed files that describe no model this engine can run: one row for each case of
// docs/gguf.md, under its id.

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "tests/engine/arch/rejection_case.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Case;
using testing::Detail;
using testing::GgufBuilder;
using testing::Keys;
using testing::MakeTinyModel;
using testing::Refused;
using testing::TinyModelOptions;

constexpr uint32_t kF32 = 0, kQ8_0 = 8, kQ8_K = 15;

Case WithUint32(std::string name, std::string_view key, uint32_t value,
                StatusCode code = StatusCode::kInvalidArgument) {
  const std::string full = "llama." + std::string(key);
  return Refused(std::move(name), Keys(key).builder.AddUint32(full, value), full,
                 std::to_string(value), code);
}

Case WithFloat(std::string name, std::string_view key, float value, std::string shown,
               StatusCode code = StatusCode::kInvalidArgument) {
  const std::string full = "llama." + std::string(key);
  return Refused(std::move(name), Keys(key).builder.AddFloat32(full, value), full, std::move(shown),
                 code);
}

Case WithText(std::string name, std::string_view key, std::string value,
              StatusCode code = StatusCode::kInvalidArgument) {
  const std::string full = "llama." + std::string(key);
  return Refused(std::move(name), Keys(key).builder.AddString(full, value), full, value, code);
}

Case Without(std::string name, std::string_view key) {
  return Refused(std::move(name), Keys(key).builder, "llama." + std::string(key), "absent");
}

std::vector<Case> ShapeCases() {
  const uint32_t heads[] = {4, 4}, one_kv[] = {2}, mixed_kv[] = {2, 4}, zero_kv[] = {0, 0};
  const int32_t negative_kv[] = {2, -2};
  const std::string kHeads = "llama.attention.head_count", kKv = "llama.attention.head_count_kv";
  const auto with_array = [&](std::string name, std::span<const uint32_t> values, std::string shown,
                              StatusCode code = StatusCode::kInvalidArgument) {
    return Refused(std::move(name),
                   Keys("attention.head_count_kv").builder.AddUint32Array(kKv, values), kKv,
                   std::move(shown), code);
  };
  return {
      WithUint32("P1NoBlocks", "block_count", 0),
      WithUint32("P1Blocks513", "block_count", 513),
      WithUint32("P1BlocksMax", "block_count", 0xffffffff),
      Without("P1BlocksAbsent", "block_count"),
      WithUint32("P2NoHeads", "attention.head_count", 0),
      WithUint32("P2NoKvHeads", "attention.head_count_kv", 0),
      WithUint32("P2KvHeadsDoNotDivide", "attention.head_count_kv", 3),
      WithUint32("P2MoreKvHeadsThanHeads", "attention.head_count_kv", 8),
      WithUint32("P2HeadsDoNotDivideEmbedding", "attention.head_count", 6),
      WithUint32("P2HeadsAbsurd", "attention.head_count", 1u << 20),
      Refused("P2OnlyKeyLengthGiven",
              Keys("attention.head_count")
                  .builder.AddUint32(kHeads, 6)
                  .AddUint32("llama.attention.key_length", 16),
              kHeads, "6"),
      with_array("P3KvHeadsPerLayerTooFew", one_kv, "array of 1 UINT32"),
      with_array("P3KvHeadsPerLayerZero", zero_kv, "0"),
      with_array("P3KvHeadsPerLayerDiffer", mixed_kv, "4", StatusCode::kUnimplemented),
      Refused("P3KvHeadsPerLayerNegative",
              Keys("attention.head_count_kv").builder.AddInt32Array(kKv, negative_kv), kKv,
              "array of 2 INT32"),
      Refused("P3ExpertsOfWhichNoneIsUsed", Keys().builder.AddUint32("llama.expert_count", 4),
              "llama.expert_used_count", "absent"),
      WithText("P6HeadsAsText", "attention.head_count", "4"),
      Refused("P6HeadsAsArray", Keys("attention.head_count").builder.AddUint32Array(kHeads, heads),
              kHeads, "array of 2 UINT32"),
      WithFloat("P6BlocksAsFloat", "block_count", 2.0f, "2.0"),
      WithUint32("P6EpsilonAsInteger", "attention.layer_norm_rms_epsilon", 1),
      WithUint32("KeyLength0", "attention.key_length", 0),
      WithUint32("ValueLengthAbsurd", "attention.value_length", 8193),
      WithUint32("Embedding0", "embedding_length", 0),
      WithUint32("FeedForward0", "feed_forward_length", 0),
      Without("FeedForwardAbsent", "feed_forward_length"),
  };
}

std::vector<Case> ScaleCases() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  constexpr std::string_view kEpsilon = "attention.layer_norm_rms_epsilon";
  constexpr StatusCode kUnimplemented = StatusCode::kUnimplemented;
  return {
      WithUint32("P4RotaryWidth0", "rope.dimension_count", 0),
      WithUint32("P4RotaryWidthOdd", "rope.dimension_count", 7),
      WithUint32("P4RotaryWidthAboveHead", "rope.dimension_count", 18),
      Refused("P4HeadSizeOdd",
              Keys()
                  .builder.AddUint32("llama.attention.key_length", 15)
                  .AddUint32("llama.attention.value_length", 16),
              "llama.rope.dimension_count", "absent"),
      WithFloat("P4BaseZero", "rope.freq_base", 0, "0.0"),
      WithFloat("P4BaseNegative", "rope.freq_base", -1, "-1.0"),
      WithFloat("P4BaseNan", "rope.freq_base", nan, "nan"),
      WithFloat("P4BaseInfinite", "rope.freq_base", inf, "inf"),
      WithFloat("P4EpsilonNan", kEpsilon, nan, "nan"),
      WithFloat("P4EpsilonNegative", kEpsilon, -1e-5f, "-0.0"),
      WithFloat("P4EpsilonZero", kEpsilon, 0, "0.0"),
      WithFloat("P4EpsilonOne", kEpsilon, 1, "1.0"),
      Without("P4EpsilonAbsent", kEpsilon),
      WithUint32("P5Context0", "context_length", 0),
      WithUint32("P5Context2Pow31", "context_length", 1u << 31),
      Without("P5ContextAbsent", "context_length"),
      WithFloat("ScalingFactorNegative", "rope.scaling.factor", -2, "-2.0"),
      WithFloat("ScalingFactorNan", "rope.scaling.factor", nan, "nan"),
      WithText("ScalingTypeUnknown", "rope.scaling.type", "dynamic", kUnimplemented),
      WithFloat("AttentionFactorWithoutYarn", "rope.scaling.attn_factor", 0.5f, "0.5",
                kUnimplemented),
      WithUint32("VocabularyEmpty", "vocab_size", 0),
      WithUint32("VocabularyAbsurd", "vocab_size", (1u << 24) + 1),
      Without("VocabularyUnknown", "vocab_size"),
      WithFloat("SoftCap", "attn_logit_softcapping", 30, "30.0", kUnimplemented),
      WithFloat("LogitScale", "logit_scale", 0.5f, "0.5", kUnimplemented),
      WithText("SoftCapAsText", "attn_logit_softcapping", "30"),
  };
}

std::vector<Case> FileCases() {
  const std::string kArchitecture = "general.architecture";
  const std::string tokens[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
  constexpr StatusCode kUnimplemented = StatusCode::kUnimplemented;
  return {
      Refused("ArchitectureAbsent", GgufBuilder().AddUint32("x", 1), kArchitecture, "absent"),
      Refused("ArchitectureUnknown", GgufBuilder().AddString(kArchitecture, "ma\nmba"),
              kArchitecture, "ma\\x0amba", kUnimplemented),
      Refused("ArchitectureAsNumber", GgufBuilder().AddUint32(kArchitecture, 1), kArchitecture,
              "1"),
      Refused("AdapterFile", Keys().builder.AddString("general.type", "adapter"), "general.type",
              "adapter", kUnimplemented),
      Refused("MoreTokensThanVocabulary",
              Keys().builder.AddStringArray("tokenizer.ggml.tokens", tokens),
              "tokenizer.ggml.tokens", "array of 11 STRING"),
      Refused("VocabularyOnly", Keys().builder, "token_embd.weight", "absent"),
  };
}

// A tiny model with one more tensor, full of zeros.
std::function<std::string()> WithTensor(const TinyModelOptions& options, const std::string& name,
                                        const std::vector<uint64_t>& shape, uint32_t type = kF32) {
  return [=] {
    uint64_t n = 1;
    for (const uint64_t extent : shape) n *= extent;
    const uint64_t bytes = type == kF32 ? n * 4 : type == kQ8_0 ? n / 32 * 34 : n / 256 * 292;
    return MakeTinyModel(options).AddTensor(name, shape, type, std::string(bytes, '\0')).Build();
  };
}

std::vector<Case> TensorCases() {
  const TinyModelOptions tied = {.n_layers = 1, .has_tied_output = true};
  const TinyModelOptions fused = {.n_layers = 1, .has_fused_qkv = true};
  const TinyModelOptions plain = {.n_layers = 2};
  const uint64_t n_vocab = testing::TinyVocabularySize(tied.vocabulary);
  const TinyModelOptions wide = {.n_layers = 1, .n_embd = 256, .has_tied_output = true};
  constexpr StatusCode kUnimplemented = StatusCode::kUnimplemented;
  return {
      Refused("T13TooFewRows", WithTensor(tied, "output.weight", {64, n_vocab - 1}),
              "output.weight (shape)", "[64, " + std::to_string(n_vocab - 1) + "]"),
      Refused("T13RowsAndColumnsSwapped", WithTensor(tied, "output.weight", {n_vocab, 64}),
              "output.weight (shape)", "[" + std::to_string(n_vocab) + ", 64]"),
      Refused("T13SameSizeOtherShape", WithTensor(tied, "output.weight", {32, n_vocab * 2}),
              "output.weight (shape)", "[32, "),
      Refused("T13ThirdDimension", WithTensor(tied, "output.weight", {64, n_vocab, 2}),
              "output.weight (shape)", "[64, " + std::to_string(n_vocab) + ", 2]"),
      Refused("T13VectorIsAMatrix", WithTensor(tied, "rope_freqs.weight", {4, 2}),
              "rope_freqs.weight (shape)", "[4, 2]"),
      Refused("T13RopeFactorsOfTheWholeWidth", WithTensor(tied, "rope_freqs.weight", {16}),
              "rope_freqs.weight (shape)", "[16]"),
      Refused("T13FusedBiasTooShort", WithTensor(fused, "blk.0.attn_qkv.bias", {64}),
              "blk.0.attn_qkv.bias (shape)", "[64]"),
      Refused("QuantisedVector", WithTensor(tied, "blk.0.attn_output.bias", {64}, kQ8_0),
              "blk.0.attn_output.bias (type)", "Q8_0", kUnimplemented),
      Refused("FormatUnknownToTheEngine", WithTensor(wide, "output.weight", {256, n_vocab}, kQ8_K),
              "output.weight (type)", "Q8_K", kUnimplemented),
      Refused("BiasOfQOnly", WithTensor({.n_layers = 1}, "blk.0.attn_q.bias", {64}),
              "blk.0.attn_k.bias", "absent"),
      Refused("BiasOfKOnly", WithTensor({.n_layers = 1}, "blk.0.attn_k.bias", {32}),
              "blk.0.attn_q.bias", "absent"),
      Refused("OutputBiasOfOneLayerOnly", WithTensor(plain, "blk.1.attn_output.bias", {64}),
              "blk.0.attn_output.bias", "absent"),
      Refused("FusedQkvOfOneLayerOnly", WithTensor(plain, "blk.1.attn_qkv.weight", {64, 128}),
              "blk.0.attn_qkv.weight", "absent"),
      Refused("SeparateQBesideFused", WithTensor(fused, "blk.0.attn_q.weight", {64, 64}),
              "blk.0.attn_q.weight", "F32", kUnimplemented),
      Refused("FeedForwardBiasOfUpOnly", WithTensor(plain, "blk.0.ffn_up.bias", {96}),
              "blk.0.ffn_gate.bias", "absent"),
      Refused("QueryNorm", WithTensor(plain, "blk.0.attn_q_norm.weight", {16}),
              "blk.0.attn_q_norm.weight", "F32", kUnimplemented),
      Refused("LongRopeFactors", WithTensor(plain, "rope_factors_long.weight", {8}),
              "rope_factors_long.weight", "F32", kUnimplemented),
      Refused("LayerBeyondBlockCount", WithTensor(plain, "blk.2.attn_norm.weight", {64}),
              "blk.2.attn_norm.weight", "F32", kUnimplemented),
  };
}

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (const auto& part : {ShapeCases(), ScaleCases(), FileCases(), TensorCases()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

class ModelRejectionTest : public ::testing::TestWithParam<Case> {};

TEST_P(ModelRejectionTest, NamesFieldValueAndOffset) { testing::ExpectRefused(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Refuses, ModelRejectionTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& test) { return test.param.name; });

TEST(ModelRejectionTest, Qwen2NeedsItsBiases) {
  // A llama model under qwen2's name has all its tensors but the biases.
  const TinyModelOptions options = {.n_layers = 1};
  std::string bytes = MakeTinyModel(options).Build();
  for (size_t at = 0; (at = bytes.find("llama", at)) != std::string::npos;)
    bytes.replace(at, 5, "qwen2");
  const testing::TempFile path(bytes);
  const auto file = GgufFile::Open(path.path());
  ASSERT_TRUE(file.ok());
  const auto model = DescribeModel(**file);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().reason(), kModelFileInvalid);
  EXPECT_EQ(Detail(model.status(), "field"), "blk.0.attn_q.bias") << model.status().ToString();
}

TEST(ModelRejectionTest, NeutralValuesOfUnsupportedKeysAreAccepted) {
  GgufBuilder builder = MakeTinyModel({});
  builder.AddUint32("llama.expert_count", 0).AddFloat32("llama.logit_scale", 1.0f);
  builder.AddBool("llama.attention.causal", true);
  builder.AddUint32("llama.attention.sliding_window", 4096);  // wider than the context
  builder.AddString("general.type", "model");
  const testing::TempFile path(builder.Build());
  const auto file = GgufFile::Open(path.path());
  ASSERT_TRUE(file.ok());
  const auto model = DescribeModel(**file);
  EXPECT_TRUE(model.ok()) << model.status().ToString();
}

}  // namespace
}  // namespace forge
