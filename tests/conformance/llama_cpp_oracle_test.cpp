// The tests' own oracle against what llama.cpp computed of the models that are recorded: both say
// the same where the oracle rounds as llama.cpp does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "tests/conformance/llama_cpp_model.h"
#include "tests/conformance/reference_case.h"
#include "tests/support/reference_transformer.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using testing::LlamaCppModel;
using testing::ReferenceCase;
using testing::ReferenceStep;
using testing::ReferenceTransformer;

// llama.cpp computes in float32, the oracle in double precision.
constexpr double kTolerance = 5e-5;
// A number that lies between two of binary16 is rounded up by one and down by the other, where they
// differ in their last bit of float32.
constexpr double kRoundedGeluTolerance = 5e-4;

// Its float32 in recurrent layers: what 64 tokens do to a state is solved for at once.
constexpr double kRecurrentTolerance = 2e-4;

double ToleranceOf(const LlamaCppModel& model) {
  if (model.rounds_gelu) return kRoundedGeluTolerance;
  return model.is_recurrent ? kRecurrentTolerance : kTolerance;
}

double LargestDeviation(ReferenceTransformer& oracle, const std::filesystem::path& recorded) {
  double largest = 0.0;
  for (const ReferenceCase& reference : testing::ReadReferenceCases(recorded)) {
    oracle.Reset();
    std::vector<double> logits;
    for (const TokenId token : reference.prompt) logits = oracle.Add(token);
    for (const ReferenceStep& step : reference.steps) {
      const std::vector<double> log_probabilities = testing::LogSoftmax(logits);
      for (const auto& [token, expected] : step.top)
        largest = std::max(largest,
                           std::abs(log_probabilities.at(static_cast<size_t>(token)) - expected));
      logits = oracle.Add(step.token);
    }
  }
  return largest;
}

TEST(LlamaCppOracleTest, SaysWhatLlamaCppSays) {
  const std::filesystem::path folder =
      std::filesystem::path(FORGE_SOURCE_DIR) / "tests/conformance/llama_cpp";
  for (const LlamaCppModel& model : testing::LlamaCppModels()) {
    SCOPED_TRACE(model.name);
    const testing::TempFile file(model.Build());
    using Gelu = ReferenceTransformer::Gelu;
    ReferenceTransformer oracle(file.path(), 512,
                                model.rounds_gelu ? Gelu::kRounded : Gelu::kExact);
    const double largest = LargestDeviation(oracle, folder / (model.name + ".json"));
    EXPECT_LE(largest, ToleranceOf(model));
    std::cout << model.name << ": largest deviation of the oracle " << largest << '\n';
  }
}

}  // namespace
}  // namespace forge
