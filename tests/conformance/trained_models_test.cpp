// Trained models through the whole engine: text in, text out.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/runtime/engine.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/conformance/expand_weights.h"
#include "tests/conformance/reference_case.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/conformance.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using testing::Answer;
using testing::ForwardHarness;
using testing::Logits;
using testing::ReferenceCase;
using testing::ReferenceStep;

std::unique_ptr<Engine> MakeEngine() {
  EngineOptions options;
  options.devices.push_back(CreateCpuDevice({}).value());
  return Engine::Create(std::move(options)).value();
}

GenerateRequest Greedy(std::vector<TokenId> prompt, uint32_t max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0.0f;
  return request;
}

TEST(TrainedModelsTest, Stories260KWritesTheReferenceText) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const std::filesystem::path directory = testing::ConformanceDir() / "models";
  const std::unique_ptr<Engine> engine = MakeEngine();
  const ModelId model =
      engine->Load((directory / "stories260K.gguf").string(), "", {}, nullptr).value();
  std::ifstream stream(directory / "stories260K.json");
  const nlohmann::json reference = nlohmann::json::parse(stream);
  const auto max_tokens = reference.at("max_tokens").get<uint32_t>();
  size_t n_cases = 0, n_passed = 0;
  for (const nlohmann::json& entry : reference.at("cases")) {
    const auto prompt = entry.at("prompt").get<std::string>();
    const Answer answer = testing::Generate(
        *engine, model, Greedy(engine->Tokenize(model, prompt, true, false).value(), max_tokens));
    EXPECT_TRUE(answer.status.ok()) << answer.status.ToString();
    EXPECT_EQ(answer.text, entry.at("greedy_text").get<std::string>()) << prompt;
    n_passed += answer.text == entry.at("greedy_text").get<std::string>() ? 1u : 0u;
    ++n_cases;
  }
  std::cout << "stories260K: " << n_passed << " of " << n_cases << " texts\n";
}

std::filesystem::path DemoDirectory() { return std::filesystem::path(FORGE_SOURCE_DIR) / "models"; }

std::vector<ReferenceCase> DemoCases() {
  return testing::ReadReferenceCases(DemoDirectory() / "demo.json");
}

// How a model compares with the demo model's reference, which computes with the file's exact
// weights in float32.
struct Comparison {
  size_t n_steps = 0;
  double largest_deviation = 0.0;  // of any listed log-probability
  double largest_kl = 0.0;
  size_t n_other_tokens = 0;          // steps whose greedy token differs
  double largest_other_margin = 0.0;  // between the reference's first two, where one differs
};

// Feeds the reference's own tokens, so that one close call does not spoil what follows.
Comparison CompareWithDemo(const std::filesystem::path& path, KvDType kv_dtype) {
  LoadOptions options;
  options.kv_dtype = kv_dtype;
  ForwardHarness model(path, options);
  Comparison result;
  for (const ReferenceCase& reference : DemoCases()) {
    model.Reset();
    Logits logits = model.Feed(0, reference.prompt, options.prefill_chunk);
    for (const ReferenceStep& step : reference.steps) {
      ++result.n_steps;
      result.largest_deviation =
          std::max(result.largest_deviation, testing::LargestDeviation(logits, step));
      result.largest_kl = std::max(result.largest_kl, testing::KlDivergence(step, logits));
      if (testing::MostLikely(logits) != step.token) {
        ++result.n_other_tokens;
        result.largest_other_margin =
            std::max(result.largest_other_margin, step.top[0].second - step.top[1].second);
      }
      logits = model.Feed(0, std::vector<TokenId>{step.token}, 1);
    }
  }
  std::cout << "demo: " << result.n_steps << " steps, largest deviation "
            << result.largest_deviation << ", largest KL " << result.largest_kl << ", "
            << result.n_other_tokens << " other tokens\n";
  return result;
}

TEST(DemoModelTest, MatchesTheReferenceWithExactWeights) {
  const testing::TempFile exact(testing::ExpandWeights(DemoDirectory() / "demo.gguf"));
  const Comparison result = CompareWithDemo(exact.path(), KvDType::kF32);
  EXPECT_GT(result.n_steps, 100u);
  EXPECT_LE(result.largest_deviation, 5e-4);
  EXPECT_EQ(result.n_other_tokens, 0u);
}

// With Q8_0 weights the CPU device rounds activations to 8 bits. Measured with two trainings of the
// model: KL up to 0.0024, and another token only at a margin of 0.007. llama.cpp's own KL on
// conformance/quantization/llama-q8_0 is 0.0022.
TEST(DemoModelTest, StaysCloseToTheReferenceAsShipped) {
  for (const KvDType kv_dtype : {KvDType::kF32, KvDType::kF16, KvDType::kBf16, KvDType::kQ8_0}) {
    const Comparison result = CompareWithDemo(DemoDirectory() / "demo.gguf", kv_dtype);
    EXPECT_LE(result.largest_kl, 0.01);
    EXPECT_LE(result.largest_other_margin, 0.05);
  }
}

// What makes a text depend on its seed alone, and not on who else runs.
TEST(DemoModelTest, ComputesTheSameBitsHoweverTokensAreBatched) {
  LoadOptions options;
  options.prefill_chunk = 512;
  ForwardHarness model(DemoDirectory() / "demo.gguf", options);
  const std::vector<ReferenceCase> cases = DemoCases();
  for (size_t c = 0; c + 3 < cases.size(); c += 4) {
    std::vector<Logits> alone;
    std::vector<ForwardHarness::Part> parts;
    for (uint32_t s = 0; s < 4; ++s) {
      parts.push_back({s, cases[c + s].prompt});
      alone.push_back(model.Feed(s, cases[c + s].prompt, 512));
    }
    model.Reset();
    EXPECT_EQ(model.Step(parts), alone) << "cases from " << c;
    for (const size_t chunk : {1u, 7u, 32u}) {
      model.Reset();
      EXPECT_EQ(model.Feed(0, cases[c].prompt, chunk), alone[0]) << "chunks of " << chunk;
    }
    model.Reset();
  }
}

TEST(DemoModelTest, WritesTheReferenceTextsThatHangOnNoCloseCall) {
  const std::unique_ptr<Engine> engine = MakeEngine();
  const ModelId model =
      engine->Load((DemoDirectory() / "demo.gguf").string(), "", {}, nullptr).value();
  size_t n_compared = 0;
  for (const ReferenceCase& reference : DemoCases()) {
    const std::vector<TokenId> prompt =
        engine->RenderChat(model, {.messages = reference.messages}, std::nullopt).value().tokens;
    EXPECT_EQ(prompt, reference.prompt);
    if (reference.min_margin < 0.1) continue;
    const Answer answer = testing::Generate(*engine, model, Greedy(prompt, 0));
    EXPECT_TRUE(answer.status.ok()) << answer.status.ToString();
    EXPECT_EQ(answer.reason, FinishReason::kEndOfText);
    EXPECT_EQ(answer.text, reference.text);
    ++n_compared;
  }
  EXPECT_GE(n_compared, 3u);
}

}  // namespace
}  // namespace forge
