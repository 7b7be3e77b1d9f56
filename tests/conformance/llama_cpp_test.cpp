// Families that the shared reference data lacks, against what llama.cpp computed from the very same
// files: log-probabilities and greedy tokens, whole and in chunks.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/conformance/llama_cpp_model.h"
#include "tests/conformance/reference_case.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using testing::ForwardHarness;
using testing::LlamaCppModel;
using testing::Logits;
using testing::ReferenceCase;
using testing::ReferenceStep;

// float32 on both sides: that of the other reference data.
constexpr double kTolerance = 5e-4;
// Where llama.cpp rounds to binary16 what GELU takes and gives. That nothing else differs is what
// LlamaCppOracleTest shows.
constexpr double kRoundedGeluTolerance = 3e-3;

std::filesystem::path Recorded(const std::string& model) {
  return std::filesystem::path(FORGE_SOURCE_DIR) / "tests/conformance/llama_cpp" /
         (model + ".json");
}

const std::vector<LlamaCppModel>& Models() {
  static const std::vector<LlamaCppModel> models = testing::LlamaCppModels();
  return models;
}

class LlamaCppTest : public ::testing::TestWithParam<size_t> {
 protected:
  LlamaCppTest()
      : bytes_(Models()[GetParam()].Build()), file_(bytes_), name_(Models()[GetParam()].name) {}

  // Holds our answers in steps of `chunk` tokens against the recorded ones.
  void Compare(uint32_t chunk) const {
    const std::vector<ReferenceCase> cases = testing::ReadReferenceCases(Recorded(name_));
    ASSERT_EQ(cases.size(), 3u);
    ForwardHarness model(file_.path(), {.context_length = 512,
                                        .max_sequences = 1,
                                        .prefill_chunk = chunk,
                                        .kv_dtype = KvDType::kF32});
    double largest = 0.0;
    for (const ReferenceCase& reference : cases) {
      SCOPED_TRACE("prompt of " + std::to_string(reference.prompt.size()));
      model.Reset();
      Logits logits = model.Feed(0, reference.prompt, chunk);
      for (const ReferenceStep& step : reference.steps) {
        EXPECT_EQ(testing::MostLikely(logits), step.token);
        largest = std::max(largest, testing::LargestDeviation(logits, step));
        logits = model.Feed(0, std::vector<TokenId>{step.token}, chunk);
      }
    }
    EXPECT_LE(largest, Models()[GetParam()].rounds_gelu ? kRoundedGeluTolerance : kTolerance);
    std::cout << name_ << ": largest deviation from llama.cpp " << largest << '\n';
  }

  const std::string bytes_;
  const testing::TempFile file_;
  const std::string name_;
};

TEST_P(LlamaCppTest, RanTheVeryFileThatIsMadeHere) {
  std::ifstream stream(Recorded(name_));
  std::ostringstream hash;
  hash << std::hex << std::setw(16) << std::setfill('0') << testing::HashOf(bytes_);
  EXPECT_EQ(nlohmann::json::parse(stream).at("model_fnv1a").get<std::string>(), hash.str())
      << "record llama.cpp's answers anew with tests/conformance/llama_cpp/record.py";
}

TEST_P(LlamaCppTest, SaysWhatWeSay) { Compare(512); }

TEST_P(LlamaCppTest, SaysWhatWeSayInSmallChunks) { Compare(7); }

std::string TestName(const ::testing::TestParamInfo<size_t>& info) {
  std::string name = Models()[info.param].name;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, LlamaCppTest, ::testing::Range<size_t>(0, Models().size()),
                         TestName);

}  // namespace
}  // namespace forge
