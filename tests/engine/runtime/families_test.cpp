// Every family, and the variants of it that real files have, against the naive double-precision
// oracle: alone, in chunks of 7 through the smallest rings, and in one ragged batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iostream>
#include <set>

#include "kernels/formats/formats.h"
#include "tests/engine/runtime/family_variants.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/reference_transformer.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_family.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::ForwardHarness;
using testing::GgufBuilder;
using testing::Logits;
using testing::ReferenceTransformer;
using testing::TempFile;
using testing::TinyModelOptions;

// float32 weights and cache against double, as in tests/conformance.
constexpr double kTolerance = 5e-4;
constexpr size_t kLongPrompt = 210;  // several windows, and several blocks of every ring

std::vector<TokenId> Prompt(size_t n, size_t salt) {
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < n; ++i)
    tokens.push_back(static_cast<TokenId>((salt * 101 + i * 37 + i * i % 29) % 300));
  return tokens;
}

LoadOptions Options(const testing::FamilyVariant& variant, uint32_t prefill_chunk) {
  return {.context_length = variant.context_length,
          .max_sequences = 3,
          .prefill_chunk = prefill_chunk,
          .kv_dtype = KvDType::kF32};
}

class FamilyTest : public ::testing::TestWithParam<testing::FamilyVariant> {
 protected:
  FamilyTest() : file_(MakeFile(GetParam())) {
    const size_t longest = std::min<size_t>(kLongPrompt, GetParam().context_length);
    prompts_ = {Prompt(longest, 1), Prompt(61, 2), Prompt(1, 3)};
  }

  static TempFile MakeFile(const testing::FamilyVariant& variant) {
    GgufBuilder builder = testing::MakeTinyModel(variant.model);
    if (variant.add) variant.add(builder);
    return TempFile(builder.Build());
  }
  // The logits of each prompt in steps of `chunk` tokens.
  std::vector<Logits> Run(uint32_t chunk) const {
    ForwardHarness model(file_.path(), Options(GetParam(), chunk));
    std::vector<Logits> logits;
    for (uint32_t s = 0; s < prompts_.size(); ++s)
      logits.push_back(model.Feed(s, prompts_[s], chunk));
    return logits;
  }

  const TempFile file_;
  std::vector<std::vector<TokenId>> prompts_;
};

TEST_P(FamilyTest, MatchesTheOracle) {
  ReferenceTransformer oracle(file_.path(), GetParam().context_length);
  const std::vector<Logits> logits = Run(512);
  double largest = 0.0;
  for (size_t s = 0; s < prompts_.size(); ++s) {
    oracle.Reset();
    std::vector<double> expected;
    for (const TokenId token : prompts_[s]) expected = oracle.Add(token);
    const std::vector<double> wanted = testing::LogSoftmax(expected);
    const std::vector<double> got =
        testing::LogSoftmax(std::vector<double>(logits[s].begin(), logits[s].end()));
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i)
      largest = std::max(largest, std::abs(got[i] - wanted[i]));
    // Answers that hang on nothing would agree too.
    EXPECT_GT(*std::ranges::max_element(wanted) - *std::ranges::min_element(wanted), 0.5);
  }
  EXPECT_LE(largest, kTolerance);
  std::cout << GetParam().name << ": largest deviation " << largest << '\n';
}

TEST_P(FamilyTest, ComputesTheSameBitsInOddChunksThroughSmallRings) {
  const std::vector<Logits> whole = Run(512);
  for (const uint32_t chunk : {7u, 33u}) EXPECT_EQ(Run(chunk), whole) << "chunks of " << chunk;
}

TEST_P(FamilyTest, ComputesTheSameBitsInARaggedBatch) {
  const std::vector<Logits> alone = Run(512);
  ForwardHarness model(file_.path(), Options(GetParam(), 512));
  EXPECT_EQ(model.Step({{2, prompts_[0]}, {0, prompts_[1]}, {1, prompts_[2]}}), alone);
}

TEST_P(FamilyTest, AllocatesItsPlanByteForByte) {
  for (const uint32_t chunk : {1u, 128u}) {
    const ForwardHarness model(file_.path(), Options(GetParam(), chunk));
    EXPECT_EQ(model.device().allocation_count().bytes, model.model().plan().total_bytes());
  }
}

// Mean KL(oracle ‖ model) after each of `n_tokens` tokens.
double MeanDivergence(const TempFile& file, size_t n_tokens) {
  ReferenceTransformer oracle(file.path(), 512);
  const LoadOptions options = {.max_sequences = 1, .prefill_chunk = 7, .kv_dtype = KvDType::kF32};
  ForwardHarness model(file.path(), options);
  double divergence = 0.0;
  for (const TokenId token : Prompt(n_tokens, 1)) {
    const std::vector<double> exact = testing::LogSoftmax(oracle.Add(token));
    const Logits logits = model.Feed(0, std::vector<TokenId>{token}, 7);
    const std::vector<double> ours =
        testing::LogSoftmax(std::vector<double>(logits.begin(), logits.end()));
    for (size_t i = 0; i < exact.size(); ++i)
      divergence += std::exp(exact[i]) * (exact[i] - ours[i]);
  }
  return divergence / static_cast<double>(n_tokens);
}

// The oracle computes with the same quantised weights exactly; the CPU rounds what it multiplies
// them with to 8 bits, so the answers are close, and no closer.
constexpr double kDivergence = 1e-3;

// As gpt-oss is published: the experts, and they alone, in MXFP4.
TEST(GptOssTest, RunsItsPublishedFormat) {
  constexpr auto kMxfp4 = static_cast<uint32_t>(MXFP4::kDType);
  const TempFile file(
      testing::MakeTinyModel({.architecture = "gpt-oss", .expert_type = kMxfp4}).Build());
  const double divergence = MeanDivergence(file, 100);
  std::cout << "gpt-oss with MXFP4 experts: mean KL " << divergence << '\n';
  EXPECT_GT(divergence, 0.0);
  EXPECT_LE(divergence, kDivergence);
}

// As 26B-A4B in a file of mixed formats: gate and up are halves of one tensor. (Random blocks of K
// formats have experts that drown others, whose rounding then says nothing.)
TEST(Gemma4Test, RunsQuantisedExpertsBesideADenseNet) {
  const TempFile file(testing::MakeTinyModel({.architecture = "gemma4",
                                              .n_layers = 2,
                                              .n_embd = 256,
                                              .n_ff = 256,
                                              .n_experts = 5,
                                              .n_experts_used = 5,
                                              .matrix_type = static_cast<uint32_t>(Q8_0::kDType),
                                              .expert_type = static_cast<uint32_t>(Q4_0::kDType),
                                              .is_large = true})
                          .Build());
  const double divergence = MeanDivergence(file, 100);
  std::cout << "gemma4 with Q4_0 experts: mean KL " << divergence << '\n';
  EXPECT_GT(divergence, 0.0);
  EXPECT_LE(divergence, kDivergence);
}

// Tokens use all experts there are: a close call of the router, which a rounding may turn, tells
// nothing of formats.
class FamilyInEveryFormatTest : public ::testing::TestWithParam<std::string> {};

TEST_P(FamilyInEveryFormatTest, StaysCloseToTheOracle) {
  double largest = 0.0;
  std::string worst;
  const testing::TinyFamily family = testing::TinyFamilyOf(GetParam());
  const bool has_kinds = family.is_hybrid || family.has_layer_kinds;
  const auto run = [&]<typename Format>(const Format*) {
    SCOPED_TRACE(Format::kName);
    const TempFile file(
        testing::MakeTinyModel({.architecture = GetParam(),
                                .n_layers = family.has_single_parts ? 3u
                                            : has_kinds             ? 2u
                                                                    : 1u,
                                .n_embd = 256,
                                .n_ff = 256,
                                .n_experts_used = 4,
                                .matrix_type = static_cast<uint32_t>(Format::kDType)})
            .Build());
    const double divergence = MeanDivergence(file, 9);
    EXPECT_LE(divergence, kDivergence);
    if (divergence > largest) worst = Format::kName;
    largest = std::max(largest, divergence);
  };
  std::apply([&](auto... format) { (run(static_cast<decltype(format)*>(nullptr)), ...); },
             Formats());
  std::cout << GetParam() << ": largest KL " << largest << ", in " << worst << '\n';
}

// All but those that compute as another one under another name: they show nothing new of formats.
// Where all experts are used, their groups change nothing.
std::vector<std::string> FamilyNames() {
  const std::set<std::string_view> same = {"internlm2", "cohere2",    "gptneox", "bailingmoe2",
                                           "ernie4_5",  "mistral",    "yi",      "qwen2vl",
                                           "qwen3vl",   "qwen3vlmoe", "seed_oss"};
  std::vector<std::string> names;
  for (const Architecture& family : Architectures())
    if (!same.contains(family.name) && !testing::TinyFamilyOf(std::string(family.name)).is_encoder)
      names.emplace_back(family.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyInEveryFormatTest, ::testing::ValuesIn(FamilyNames()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

std::string TestName(const ::testing::TestParamInfo<testing::FamilyVariant>& info) {
  std::string name = info.param.name;
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Variants, FamilyTest, ::testing::ValuesIn(testing::FamilyVariants()),
                         TestName);

}  // namespace
}  // namespace forge
