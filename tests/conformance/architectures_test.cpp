// The forward pass against an independent double-precision implementation: every listed
// log-probability and every greedy token, alone, in chunks, and in one ragged batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "tests/conformance/reference_case.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

using testing::ForwardHarness;
using testing::Logits;
using testing::ReferenceCase;
using testing::ReferenceStep;

// float32 weights and cache against double: the tolerance of the reference data.
constexpr double kTolerance = 5e-4;

std::filesystem::path Directory() { return testing::ConformanceDir() / "architectures"; }

std::vector<std::string> Names() { return testing::ModelNames(Directory(), {""}); }

LoadOptions Options() {
  LoadOptions options;
  options.kv_dtype = KvDType::kF32;
  options.prefill_chunk = 1024;
  return options;
}

class ArchitectureTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    FORGE_NEEDS_CONFORMANCE_DATA();
    cases_ = testing::ReadReferenceCases(Directory() / (GetParam() + ".json"));
    ASSERT_FALSE(cases_.empty());
    model_ = std::make_unique<ForwardHarness>(Directory() / (GetParam() + ".gguf"), Options());
  }

  void TearDown() override {
    ++n_run;
    if (!HasFailure()) ++n_passed;
  }
  static void TearDownTestSuite() {
    std::cout << "architectures: " << n_passed << " of " << n_run << " passed\n";
  }
  static inline int n_run = 0, n_passed = 0;

  void Check(const Logits& logits, const ReferenceStep& step) {
    EXPECT_EQ(testing::MostLikely(logits), step.token);
    const double deviation = testing::LargestDeviation(logits, step);
    EXPECT_LE(deviation, kTolerance);
    largest_ = std::max(largest_, deviation);
  }

  void RunAlone(size_t chunk) {
    for (size_t c = 0; c < cases_.size(); ++c) {
      model_->Reset();
      Logits logits = model_->Feed(0, cases_[c].prompt, chunk);
      for (size_t s = 0; s < cases_[c].steps.size(); ++s) {
        SCOPED_TRACE("case " + std::to_string(c) + " step " + std::to_string(s));
        Check(logits, cases_[c].steps[s]);
        logits = model_->Feed(0, std::vector<TokenId>{cases_[c].steps[s].token}, chunk);
      }
    }
  }

  std::vector<ReferenceCase> cases_;
  std::unique_ptr<ForwardHarness> model_;
  double largest_ = 0.0;
};

TEST_P(ArchitectureTest, MatchesTheReference) {
  RunAlone(1024);
  std::cout << GetParam() << ": largest deviation " << largest_ << '\n';
}

TEST_P(ArchitectureTest, MatchesTheReferenceInSmallChunks) { RunAlone(7); }

TEST_P(ArchitectureTest, MatchesTheReferenceWithAllCasesInOneRaggedBatch) {
  ASSERT_LE(cases_.size(), Options().max_sequences);
  size_t n_steps = 0;
  std::vector<ForwardHarness::Part> parts;
  for (size_t c = 0; c < cases_.size(); ++c) {
    parts.push_back({static_cast<uint32_t>(c), cases_[c].prompt});
    n_steps = std::max(n_steps, cases_[c].steps.size());
  }
  for (size_t s = 0; s < n_steps; ++s) {
    const std::vector<Logits> logits = model_->Step(parts);
    std::vector<ForwardHarness::Part> next;
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::vector<ReferenceStep>& steps = cases_[parts[i].sequence].steps;
      SCOPED_TRACE("case " + std::to_string(parts[i].sequence) + " step " + std::to_string(s));
      Check(logits[i], steps[s]);
      if (s + 1 < steps.size()) next.push_back({parts[i].sequence, {steps[s].token}});
    }
    parts = std::move(next);
  }
}

std::string TestName(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, ArchitectureTest, ::testing::ValuesIn(Names()), TestName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ArchitectureTest);

TEST(ArchitectureFilesTest, AreAllThere) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  EXPECT_GE(Names().size(), 22u);
}

}  // namespace
}  // namespace forge
