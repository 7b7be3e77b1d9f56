// The tests' own oracle of the families against the reference data, which others made: what it says
// of variants that the data lacks is worth as much as this.
#include "tests/support/reference_transformer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "tests/conformance/reference_case.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

using testing::ReferenceCase;
using testing::ReferenceStep;
using testing::ReferenceTransformer;

// The files list six digits; both sides compute in double precision.
constexpr double kTolerance = 2e-6;

TEST(ReferenceTransformerTest, AgreesWithTheReferenceDataOnEveryFamily) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const std::filesystem::path directory = testing::ConformanceDir() / "architectures";
  size_t n_steps = 0;
  for (const std::string& name : testing::ModelNames(directory, {""})) {
    SCOPED_TRACE(name);
    ReferenceTransformer oracle(directory / (name + ".gguf"), 512);
    double largest = 0.0;
    for (const ReferenceCase& reference :
         testing::ReadReferenceCases(directory / (name + ".json"))) {
      oracle.Reset();
      std::vector<double> logits;
      for (const TokenId token : reference.prompt) logits = oracle.Add(token);
      for (const ReferenceStep& step : reference.steps) {
        const std::vector<double> log_probabilities = testing::LogSoftmax(logits);
        for (const auto& [token, expected] : step.top)
          largest = std::max(largest,
                             std::abs(log_probabilities.at(static_cast<size_t>(token)) - expected));
        logits = oracle.Add(step.token);
        ++n_steps;
      }
    }
    EXPECT_LE(largest, kTolerance);
    std::cout << name << ": largest deviation " << largest << '\n';
  }
  EXPECT_GT(n_steps, 100u);
}

}  // namespace
}  // namespace forge
