// Scores of whole texts against the references that the forward pass is tested with.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/runtime/engine.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/conformance/reference_case.h"
#include "tests/engine/runtime/reading_sinks.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

using testing::CollectingScores;
using testing::ReferenceCase;
using testing::ReferenceStep;

constexpr double kTolerance = 5e-4;

std::unique_ptr<Engine> MakeEngine() {
  EngineOptions options;
  options.devices.push_back(CreateCpuDevice({}).value());
  return Engine::Create(std::move(options)).value();
}

std::vector<TokenScore> Score(Engine& engine, ModelId model, ScoreRequest request) {
  const SessionId session = engine.OpenSession(model).value();
  auto sink = std::make_shared<CollectingScores>();
  EXPECT_TRUE(engine.Score(session, std::move(request), sink).ok());
  const testing::ReadingResult result = sink->Wait();
  EXPECT_TRUE(result.status.ok()) << result.status.ToString();
  engine.CloseSession(session);
  return result.scores;
}

// The largest distance of a listed log-probability from the score's; every listed token must be
// among its alternatives.
double Deviation(const TokenScore& score, const ReferenceStep& step) {
  double largest = 0.0;
  for (const auto& [token, logprob] : step.top) {
    double distance = 1e9;
    for (const TokenLogprob& top : score.top_logprobs)
      if (top.token == token) distance = std::abs(static_cast<double>(top.logprob) - logprob);
    largest = std::max(largest, distance);
  }
  return largest;
}

TEST(ScoreConformanceTest, MatchesTheReferenceAtEveryStepOfEveryModel) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const std::filesystem::path directory = testing::ConformanceDir() / "architectures";
  const std::unique_ptr<Engine> engine = MakeEngine();
  double largest = 0.0;
  size_t n_models = 0;
  for (const std::string& name : testing::ModelNames(directory, {""})) {
    SCOPED_TRACE(name);
    LoadOptions options;
    options.kv_dtype = KvDType::kF32;
    options.prefill_chunk = 57;
    const ModelId model =
        engine->Load((directory / (name + ".gguf")).string(), "", options, nullptr).value();
    for (const ReferenceCase& reference :
         testing::ReadReferenceCases(directory / (name + ".json"))) {
      std::vector<TokenId> tokens = reference.prompt;
      for (const ReferenceStep& step : reference.steps) tokens.push_back(step.token);
      const std::vector<TokenScore> scores =
          Score(*engine, model, {.tokens = tokens, .top_logprobs = 48});
      ASSERT_EQ(scores.size(), tokens.size() - 1);
      for (size_t s = 0; s < reference.steps.size(); ++s) {
        const TokenScore& score = scores[reference.prompt.size() - 1 + s];
        const double deviation = Deviation(score, reference.steps[s]);
        EXPECT_LE(deviation, kTolerance) << "step " << s;
        largest = std::max(largest, deviation);
        EXPECT_EQ(score.token, reference.steps[s].token);
        EXPECT_EQ(score.logprob, score.top_logprobs.at(0).logprob);  // greedy
      }
    }
    ASSERT_TRUE(engine->Unload(model).ok());
    ++n_models;
  }
  EXPECT_GE(n_models, 22u);
  std::cout << "scores: " << n_models << " models, largest deviation " << largest << '\n';
}

double Perplexity(const std::vector<TokenScore>& scores) {
  double sum = 0.0;
  for (const TokenScore& score : scores) sum += static_cast<double>(score.logprob);
  return std::exp(-sum / static_cast<double>(scores.size()));
}

TEST(ScoreConformanceTest, ATrainedModelPredictsItsOwnKindOfTextAndNoJumble) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const std::filesystem::path directory = testing::ConformanceDir() / "models";
  const std::unique_ptr<Engine> engine = MakeEngine();
  const ModelId model =
      engine->Load((directory / "stories260K.gguf").string(), "", {}, nullptr).value();
  std::ifstream stream(directory / "stories260K.json");
  const nlohmann::json reference = nlohmann::json::parse(stream);
  for (const nlohmann::json& entry : reference.at("cases")) {
    const std::string text =
        entry.at("prompt").get<std::string>() + entry.at("greedy_text").get<std::string>();
    const std::string reversed(text.rbegin(), text.rend());
    const double own = Perplexity(
        Score(*engine, model, {.tokens = engine->Tokenize(model, text, true, false).value()}));
    const double jumbled = Perplexity(
        Score(*engine, model, {.tokens = engine->Tokenize(model, reversed, true, false).value()}));
    std::cout << "stories260K: perplexity " << own << ", of the reversed text " << jumbled << '\n';
    EXPECT_LT(own, 3.0) << text;
    EXPECT_GT(jumbled, 100.0) << reversed;
  }
}

}  // namespace
}  // namespace forge
