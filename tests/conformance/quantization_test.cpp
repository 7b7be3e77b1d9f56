// Every weight format in a whole model: the distance from the exactly dequantised weights in exact
// arithmetic, beside the distance of llama.cpp's own quantised arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/runtime/logprobs.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

using testing::ForwardHarness;
using testing::Logits;

constexpr const char* kTypes[] = {"f32",  "f16",  "bf16",   "q8_0",   "q4_0",   "q4_1",
                                  "q5_0", "q5_1", "q4_k_s", "q4_k_m", "q5_k_m", "q6_k"};

// KL(p ‖ q) of the distributions that the logits describe.
double KlDivergence(const Logits& p, const Logits& q) {
  const double p_sum = LogSumExp(p), q_sum = LogSumExp(q);
  double divergence = 0.0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = static_cast<double>(p[i]) - p_sum;
    const double log_q = static_cast<double>(q[i]) - q_sum;
    divergence += std::exp(log_p) * (log_p - log_q);
  }
  return divergence;
}

class QuantizationTest : public ::testing::TestWithParam<const char*> {
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
  const std::filesystem::path directory = testing::ConformanceDir() / "quantization";
  const std::string name = std::string("llama-") + GetParam();
  std::ifstream stream(directory / (name + ".json"));
  ASSERT_TRUE(stream.good()) << name;
  const nlohmann::json reference = nlohmann::json::parse(stream);
  LoadOptions options;
  options.kv_dtype = KvDType::kF32;
  ForwardHarness model(directory / (name + ".gguf"), options);
  const Logits logits =
      model.Feed(0, reference.at("prompt").get<std::vector<TokenId>>(), options.prefill_chunk);
  const double ours = KlDivergence(reference.at("exact_logits").get<Logits>(), logits);
  const double theirs = reference.at("llamacpp_kl").get<double>();
  std::cout << name << ": KL " << ours << ", llama.cpp " << theirs << ", ratio "
            << (theirs > 0.0 ? ours / theirs : 0.0) << '\n';
  EXPECT_LE(ours, std::max(2.0 * theirs, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(Formats, QuantizationTest, ::testing::ValuesIn(kTypes),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace forge
