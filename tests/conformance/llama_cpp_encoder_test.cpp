// Encoders against what llama.cpp computed from the very same files: hidden states of the first and
// the last token of a text, and the mean of all.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/conformance/llama_cpp_model.h"
#include "tests/engine/runtime/reading_sinks.h"
#include "tests/support/temporary_files.h"
#include "tests/support/test_device.h"

namespace forge {
namespace {

using testing::LlamaCppModel;

// As in llama_cpp_test.cpp.
constexpr double kTolerance = 5e-4;
constexpr double kRoundedGeluTolerance = 3e-3;

class LlamaCppEncoderTest : public ::testing::TestWithParam<LlamaCppModel> {
 protected:
  void SetUp() override {
    const std::filesystem::path recorded = std::filesystem::path(FORGE_SOURCE_DIR) /
                                           "tests/conformance/llama_cpp" /
                                           (GetParam().name + ".json");
    std::ifstream stream(recorded);
    recorded_ = nlohmann::json::parse(stream);
    EngineOptions options;
    options.devices.push_back(testing::CreateTestDevice());
    engine_ = Engine::Create(std::move(options)).value();
    LoadOptions load;
    load.kv_dtype = KvDType::kF32;
    model_ = engine_->Load(file_.path().string(), "", load, nullptr).value();
  }

  std::vector<float> Embed(const std::vector<TokenId>& tokens, Pooling pooling) {
    const auto sink = std::make_shared<testing::CollectingEmbedding>();
    const SessionId session = engine_->OpenSession(model_).value();
    const Status status = engine_->Embed(session, {tokens, pooling, /*normalize=*/false}, sink);
    EXPECT_TRUE(status.ok()) << status.ToString();
    const testing::ReadingResult result = sink->Wait();
    EXPECT_TRUE(result.status.ok()) << result.status.ToString();
    engine_->CloseSession(session);
    return result.embedding.value_or(std::vector<float>());
  }

  const std::string bytes_ = GetParam().Build();
  const testing::TempFile file_{bytes_};
  nlohmann::json recorded_;
  std::unique_ptr<Engine> engine_;
  ModelId model_ = 0;
};

double LargestDifference(const std::vector<float>& ours, const std::vector<double>& theirs) {
  EXPECT_EQ(ours.size(), theirs.size());
  double largest = 0.0;
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(ours[i]) - theirs[i]));
  return largest;
}

TEST_P(LlamaCppEncoderTest, RanTheVeryFileThatIsMadeHere) {
  std::ostringstream hash;
  hash << std::hex << std::setw(16) << std::setfill('0') << testing::HashOf(bytes_);
  EXPECT_EQ(recorded_.at("model_fnv1a").get<std::string>(), hash.str())
      << "record llama.cpp's answers anew with tests/conformance/llama_cpp/record.py";
}

TEST_P(LlamaCppEncoderTest, SaysWhatWeSay) {
  double largest = 0.0;
  ASSERT_EQ(recorded_.at("cases").size(), 3u);
  for (const nlohmann::json& recorded : recorded_.at("cases")) {
    const auto prompt = recorded.at("prompt").get<std::vector<TokenId>>();
    for (const auto& [name, pooling] :
         {std::pair("first", Pooling::kCls), {"last", Pooling::kLast}, {"mean", Pooling::kMean}})
      largest = std::max(largest, LargestDifference(Embed(prompt, pooling),
                                                    recorded.at(name).get<std::vector<double>>()));
  }
  EXPECT_LE(largest, GetParam().rounds_gelu ? kRoundedGeluTolerance : kTolerance);
  std::cout << GetParam().name << ": largest deviation from llama.cpp " << largest << '\n';
}

INSTANTIATE_TEST_SUITE_P(Models, LlamaCppEncoderTest,
                         ::testing::ValuesIn(testing::LlamaCppEncoders()), [](const auto& test) {
                           std::string name = test.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace forge
