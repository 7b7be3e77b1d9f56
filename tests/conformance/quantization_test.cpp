// Every weight format in a whole model: the distance from the exactly dequantised weights in exact
// arithmetic, beside the distance of llama.cpp's own quantised arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/conformance/reference_case.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

using testing::ForwardHarness;
using testing::Logits;

std::filesystem::path Directory() { return testing::ConformanceDir() / "quantization"; }

std::vector<std::string> Names() { return testing::ModelNames(Directory(), {""}); }

// Files that must not be further from the exact weights than llama.cpp's arithmetic is; the others
// may be twice as far.
constexpr std::string_view kAtMostEqual[] = {"llama-q4_k_m", "llama-q5_k_m", "llama-q6_k",
                                             "llama-q8_0"};

class QuantizationTest : public ::testing::TestWithParam<std::string> {
 protected:
  void TearDown() override {
    ++n_run;
    if (!HasFailure()) ++n_passed;
  }
  static void TearDownTestSuite() {
    std::cout << "quantization: " << n_passed << " of " << n_run << " passed\n";
  }
  static inline int n_run = 0, n_passed = 0;
};

TEST_P(QuantizationTest, StaysAsCloseToTheExactWeightsAsLlamaCpp) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const std::string& name = GetParam();
  std::ifstream stream(Directory() / (name + ".json"));
  ASSERT_TRUE(stream.good()) << name;
  const nlohmann::json reference = nlohmann::json::parse(stream);
  LoadOptions options;
  options.kv_dtype = KvDType::kF32;
  ForwardHarness model(Directory() / (name + ".gguf"), options);
  const Logits logits =
      model.Feed(0, reference.at("prompt").get<std::vector<TokenId>>(), options.prefill_chunk);
  const double ours = testing::KlDivergence(reference.at("exact_logits").get<Logits>(), logits);
  const double theirs = reference.at("llamacpp_kl").get<double>();
  std::cout << name << ": KL " << ours << ", llama.cpp " << theirs << ", ratio "
            << (theirs > 0.0 ? ours / theirs : 0.0) << '\n';
  const double factor = std::ranges::count(kAtMostEqual, name) > 0 ? 1.0 : 2.0;
  EXPECT_LE(ours, std::max(factor * theirs, 1e-5));
}

std::string TestName(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Formats, QuantizationTest, ::testing::ValuesIn(Names()), TestName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(QuantizationTest);

TEST(QuantizationFilesTest, AreAllThere) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  EXPECT_EQ(Names().size(), 17u);
}

}  // namespace
}  // namespace forge
