// Encoders by the whole engine: every token sees its whole text, and there is nothing to generate.
// What they compute is held against llama.cpp in tests/conformance/llama_cpp_encoder_test.cpp.
#include <gmock/gmock.h>

#include "engine/gguf/gguf_file.h"
#include "engine/model/model_plan.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/engine/runtime/reading_sinks.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::CollectingEmbedding;
using testing::CollectingScores;
using ::testing::HasSubstr;

std::vector<TokenId> Text(size_t n, size_t salt = 0) {
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < n; ++i) tokens.push_back(static_cast<TokenId>((i * 11 + salt) % 250));
  return tokens;
}

class EncoderTest : public ::testing::TestWithParam<std::string> {
 protected:
  EncoderTest() : file_(testing::MakeTinyModel({.architecture = GetParam()}).Build()) {
    EngineOptions options;
    options.devices.push_back(CreateCpuDevice({}).value());
    engine_ = Engine::Create(std::move(options)).value();
  }

  Result<ModelId> Load(uint32_t context_length = 0, uint32_t prefill_chunk = 16) {
    LoadOptions options;
    options.context_length = context_length;
    options.prefill_chunk = prefill_chunk;
    options.max_sequences = 3;
    return engine_->Load(file_.path().string(), "", options, nullptr);
  }
  std::shared_ptr<CollectingEmbedding> Start(ModelId model, std::vector<TokenId> text,
                                             Pooling pooling) {
    auto sink = std::make_shared<CollectingEmbedding>();
    const SessionId session = engine_->OpenSession(model).value();
    const Status status = engine_->Embed(session, {std::move(text), pooling, false}, sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return sink;
  }
  std::vector<float> Embed(ModelId model, std::vector<TokenId> text, Pooling pooling) {
    const testing::ReadingResult result = Start(model, std::move(text), pooling)->Wait();
    EXPECT_TRUE(result.status.ok()) << result.status.ToString();
    return result.embedding.value_or(std::vector<float>());
  }

  const testing::TempFile file_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(EncoderTest, TheFirstTokenSeesTheLast) {
  const ModelId model = Load().value();
  std::vector<TokenId> text = Text(90);
  const std::vector<float> before = Embed(model, text, Pooling::kCls);
  EXPECT_EQ(Embed(model, text, Pooling::kCls), before);
  text.back() += 1;
  EXPECT_NE(Embed(model, text, Pooling::kCls), before);
}

TEST_P(EncoderTest, ATextHasTheBitsOfATextAlone) {
  const ModelId model = Load().value();
  const std::vector<size_t> lengths = {300, 1, 500, 7, 212, 33, 512, 64};
  std::vector<std::vector<float>> alone;
  for (const size_t n : lengths) alone.push_back(Embed(model, Text(n, n), Pooling::kMean));
  std::vector<std::shared_ptr<CollectingEmbedding>> together;
  for (const size_t n : lengths) together.push_back(Start(model, Text(n, n), Pooling::kMean));
  for (size_t i = 0; i < lengths.size(); ++i) {
    const testing::ReadingResult result = together[i]->Wait();
    EXPECT_EQ(result.embedding, alone[i]) << lengths[i] << " tokens";
    // Never a part of a text.
    for (const auto& [done, total] : result.progress) EXPECT_EQ(done, total);
  }
}

TEST_P(EncoderTest, TakesNoTextThatIsLongerThanItsContext) {
  const ModelId model = Load(/*context_length=*/100).value();
  EXPECT_EQ(Embed(model, Text(100), Pooling::kMean).size(), 64u);
  const SessionId session = engine_->OpenSession(model).value();
  const Status status = engine_->Embed(session, {Text(101), Pooling::kMean, true},
                                       std::make_shared<CollectingEmbedding>());
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange) << status.ToString();
  EXPECT_EQ(status.reason(), "CONTEXT_LENGTH_EXCEEDED");
}

TEST_P(EncoderTest, NeitherGeneratesNorScores) {
  const ModelId model = Load().value();
  const SessionId session = engine_->OpenSession(model).value();
  const Status generated = engine_->Submit(session, testing::Greedy(Text(3), 4),
                                           std::make_shared<testing::CollectingSink>());
  const Status scored =
      engine_->Score(session, {.tokens = Text(3)}, std::make_shared<CollectingScores>());
  for (const Status& status : {generated, scored}) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status.ToString();
    EXPECT_EQ(status.reason(), "MODEL_IS_ENCODER");
    EXPECT_THAT(status.message(), HasSubstr("is an encoder"));
  }
  EXPECT_EQ(Embed(model, Text(3), Pooling::kLast).size(), 64u);
}

TEST_P(EncoderTest, ReadsTextsAsWordPieces) {
  const testing::TempFile path(
      testing::MakeTinyModel(
          {.architecture = GetParam(), .vocabulary = testing::TinyVocabulary::kWordPiece})
          .Build());
  const ModelId model = engine_->Load(path.path().string(), "", {}, nullptr).value();
  const auto tokens = [&](std::string_view text) {
    return engine_->Tokenize(model, text, /*add_special=*/true, /*parse_special=*/false).value();
  };
  constexpr TokenId kUnknown = 1, kCls = 2, kSep = 3;
  const std::vector<TokenId> hello = tokens("Hello the world");
  ASSERT_EQ(hello.size(), 5u);
  EXPECT_EQ(hello.front(), kCls);
  EXPECT_EQ(hello.back(), kSep);
  EXPECT_EQ(tokens("7"), (std::vector<TokenId>{kCls, kUnknown, kSep}));
  EXPECT_EQ(engine_->Detokenize(model, hello, false).value(), "hello the world");
  EXPECT_EQ(Embed(model, tokens("h\u00c9LLO  the world"), Pooling::kMean),
            Embed(model, hello, Pooling::kMean));
  EXPECT_NE(Embed(model, tokens("hello a world"), Pooling::kMean),
            Embed(model, hello, Pooling::kMean));
}

TEST_P(EncoderTest, PlansAStepOfItsWholeContext) {
  const std::unique_ptr<GgufFile> file = GgufFile::Open(file_.path()).value();
  const std::unique_ptr<Device> device = CreateCpuDevice({}).value();
  const ModelDescription description = DescribeModel(*file).value();
  LoadOptions options;
  options.prefill_chunk = 16;
  const ModelPlan plan = PlanModel(description, *file, options, *device).value();
  EXPECT_EQ(plan.options.prefill_chunk, 512u);
  EXPECT_EQ(plan.scratch.max_tokens, 512u);
  EXPECT_EQ(plan.scratch.logits.size_bytes, 0u);
  EXPECT_EQ(plan.scratch.max_draft_tokens, 0u);
}

TEST(EncoderContextTest, IsNoLongerThanAStep) {
  const testing::TempFile path(
      testing::MakeTinyModel({.architecture = "nomic-bert", .n_context = 8192}).Build());
  const std::unique_ptr<GgufFile> file = GgufFile::Open(path.path()).value();
  const std::unique_ptr<Device> device = CreateCpuDevice({}).value();
  const ModelDescription description = DescribeModel(*file).value();
  LoadOptions options;
  EXPECT_EQ(PlanModel(description, *file, options, *device).value().kv.context_length, 4096u);
  options.context_length = 4097;
  const Status status = PlanModel(description, *file, options, *device).status();
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("at most 4096 tokens"));
  EXPECT_EQ(LongestContext(description.config), 4096u);
  EXPECT_EQ(description.config.n_context_train, 8192u);
}

INSTANTIATE_TEST_SUITE_P(Families, EncoderTest, ::testing::Values("bert", "nomic-bert"),
                         [](const auto& test) {
                           return test.param == "bert" ? "bert" : "nomic_bert";
                         });

}  // namespace
}  // namespace forge
