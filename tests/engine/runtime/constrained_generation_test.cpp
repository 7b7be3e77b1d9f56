#include <gmock/gmock.h>

#include <string>

#include "engine/grammar/output_constraint.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/engine/grammar/random_schema.h"
#include "tests/engine/grammar/schema_validator.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using Json = nlohmann::ordered_json;
using testing::Answer;

// A model with random weights: it has no idea of JSON, so everything that its answers are in order
// comes from the mask.
class ConstrainedGenerationTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kContext = 4096;

  ConstrainedGenerationTest() {
    EngineOptions options;
    options.devices.push_back(CreateCpuDevice({}).value());
    engine_ = Engine::Create(std::move(options)).value();
    LoadOptions load;
    load.context_length = kContext;
    model_ = engine_->Load(file_.path().string(), "", load, nullptr).value();
  }

  Answer Ask(const OutputConstraint& constraint, uint64_t seed, uint32_t max_tokens) {
    GenerateRequest request;
    request.prompt = testing::TestTokens("hello world");
    request.max_tokens = max_tokens;
    request.constraint = constraint;
    request.sampling.seed = seed;
    request.sampling.temperature = seed % 5 == 0 ? 0.0f : 1.0f;
    request.sampling.repetition_penalty = 1.1f;
    return testing::Generate(*engine_, model_, request);
  }

  static testing::TempFile MakeFile() {
    testing::TinyModelOptions options;
    options.n_context = kContext;
    return testing::TempFile(testing::MakeTinyModel(options).Build());
  }

  testing::TempFile file_ = MakeFile();
  std::unique_ptr<Engine> engine_;
  ModelId model_ = 0;
};

TEST_F(ConstrainedGenerationTest, FinishedAnswersToRandomSchemasValidate) {
  constexpr uint64_t kSchemas = 500;
  uint64_t n_finished = 0;
  for (uint64_t seed = 1; seed <= kSchemas; ++seed) {
    const Json schema = testing::RandomSchema(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + schema.dump());
    const Answer answer =
        Ask({OutputConstraint::Kind::kJsonSchema, schema.dump()}, seed, kContext - 100);
    ASSERT_TRUE(answer.status.ok()) << answer.status.ToString();
    if (answer.reason != FinishReason::kEndOfText) continue;
    ++n_finished;
    const Json value = Json::parse(answer.text, nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(value.is_discarded()) << answer.text;
    EXPECT_EQ(testing::Violation(schema, schema, value), "") << answer.text;
  }
  RecordProperty("finished", std::to_string(n_finished));
  EXPECT_GE(n_finished, kSchemas * 9 / 10);
}

TEST_F(ConstrainedGenerationTest, TheSameSeedGivesTheSameAnswerWhateverRanBefore) {
  const OutputConstraint constraint{OutputConstraint::Kind::kGrammar,
                                    "root ::= [a-z]{5,40} (\" \" [0-9]+){2,5} \".\""};
  const Answer first = Ask(constraint, 11, 200);
  Ask(constraint, 12, 200);
  const Answer again = Ask(constraint, 11, 200);
  EXPECT_EQ(first.tokens, again.tokens);
  EXPECT_EQ(first.text.back(), '.');
}

TEST_F(ConstrainedGenerationTest, AnAnswerThatIsCutSaysSo) {
  const Answer answer = Ask({OutputConstraint::Kind::kGrammar, "root ::= [a-z]{100,200}"}, 1, 10);
  EXPECT_EQ(answer.reason, FinishReason::kMaxTokens);
  EXPECT_EQ(answer.tokens.size(), 10u);
}

TEST_F(ConstrainedGenerationTest, MistakesAreRefusedBeforeTheTurnIsQueued) {
  const SessionId session = engine_->OpenSession(model_).value();
  GenerateRequest request;
  request.prompt = testing::TestTokens("hello");
  request.constraint = {OutputConstraint::Kind::kJsonSchema, R"({"type":"object","not":{}})"};
  const auto sink = std::make_shared<testing::CollectingSink>();
  EXPECT_EQ(engine_->Submit(session, request, sink).reason(), "SCHEMA_UNSUPPORTED");
  request.constraint = {OutputConstraint::Kind::kGrammar, "root ::= ("};
  EXPECT_EQ(engine_->Submit(session, request, sink).reason(), "GRAMMAR_INVALID");
  request.constraint.reset();
  request.max_tokens = 1;
  EXPECT_TRUE(engine_->Submit(session, request, sink).ok());
  EXPECT_EQ(sink->Wait().n_finished, 1);
}

}  // namespace
}  // namespace forge
