#include "tools/synth/format_mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tools/synth/synth_model.h"

namespace forge {
namespace {

// One line of llama_quantize_types.txt: what llama-quantize --dry-run (llama.cpp 0.7.0) chose for
// some tensors of a file of forge-synth, layer by layer.
struct Recorded {
  std::string shape, mix;
  uint32_t n_layers = 0;
  std::vector<std::string> tensors;  // "attn_q"
  std::vector<std::string> formats;  // of the layers; one for tensors outside them
};

std::vector<Recorded> ReadRecorded() {
  std::ifstream file(std::string(FORGE_SOURCE_DIR) + "/tests/tools/synth/llama_quantize_types.txt");
  std::vector<Recorded> all;
  for (std::string line; std::getline(file, line);) {
    Recorded recorded;
    std::istringstream words(line);
    std::string tensors, equals, run;
    words >> recorded.shape >> recorded.n_layers >> recorded.mix >> tensors >> equals;
    std::istringstream names(tensors);
    for (std::string name; std::getline(names, name, ',');) recorded.tensors.push_back(name);
    while (words >> run) {
      const size_t star = run.find('*');
      recorded.formats.insert(recorded.formats.end(), std::stoul(run.substr(star + 1)),
                              run.substr(0, star));
    }
    all.push_back(std::move(recorded));
  }
  return all;
}

std::string TensorName(const std::string& tensor, size_t layer) {
  const bool is_outside = tensor == "token_embd" || tensor == "output";
  return (is_outside ? "" : "blk." + std::to_string(layer) + ".") + tensor + ".weight";
}

TEST(FormatMixTest, ChoosesAsLlamaQuantizeDoes) {
  const std::vector<Recorded> all = ReadRecorded();
  ASSERT_GT(all.size(), 500u);
  std::map<std::string, std::map<std::string, std::string>> chosen;  // by model, by tensor
  size_t n_compared = 0;
  for (const Recorded& recorded : all) {
    SCOPED_TRACE(recorded.shape + " " + recorded.mix);
    const std::string model_name = recorded.shape + recorded.mix;
    if (!chosen.contains(model_name)) {
      const Result<SynthModel> model = PlanSynthModel(
          {.shape = recorded.shape, .type = recorded.mix, .n_layers = recorded.n_layers});
      auto& formats = chosen[model_name];
      if (!model.ok()) {  // a format that this build does not have
        EXPECT_THAT(
            std::string(model.status().message()),
            testing::AnyOf(testing::HasSubstr("no format"), testing::HasSubstr("unknown type")));
        continue;
      }
      for (const GgufTensorEntry& tensor : model->tensors)
        formats[tensor.name] = tensor.format->name;
    }
    const auto& formats = chosen[model_name];
    if (formats.empty()) continue;
    for (const std::string& tensor : recorded.tensors)
      for (size_t layer = 0; layer < recorded.formats.size(); ++layer) {
        const std::string name = TensorName(tensor, layer);
        ASSERT_TRUE(formats.contains(name)) << name;
        EXPECT_EQ(formats.at(name), recorded.formats[layer]) << name;
        ++n_compared;
      }
  }
  EXPECT_GT(n_compared, 2000u);
}

TEST(FormatMixTest, WritesTheBaseFormatEverywhereWhenPure) {
  const Result<SynthModel> model =
      PlanSynthModel({.shape = "mistral-7b", .type = "Q4_K_M", .is_pure = true, .n_layers = 9});
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  for (size_t i = 0; i < model->tensors.size(); ++i)
    EXPECT_EQ(model->tensors[i].format->name,
              model->values[i] == SynthValues::kMatrix ? "Q4_K" : "F32");
}

TEST(FormatMixTest, TakesAFormatsNameForOneFormatWithALargerOutput) {
  const Result<SynthModel> model =
      PlanSynthModel({.shape = "llama-3.2-1b", .type = "Q5_K", .n_layers = 16});
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  for (size_t i = 0; i < model->tensors.size(); ++i) {
    if (model->values[i] != SynthValues::kMatrix) continue;
    const GgufTensorEntry& tensor = model->tensors[i];
    EXPECT_EQ(tensor.format->name, tensor.name == "token_embd.weight" ? "Q6_K" : "Q5_K");
  }
}

TEST(FormatMixTest, RefusesAnUnknownType) {
  const Result<SynthModel> model = PlanSynthModel({.shape = "mistral-7b", .type = "Q9_K"});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()), testing::HasSubstr("'Q9_K'"));
}

TEST(FormatMixTest, ListsEveryFormatOfTheRegistry) {
  const std::vector<std::string_view> names = FormatMixNames();
  for (const FormatInfo& format : KnownFormats()) {
    const auto has_base = [&](std::string_view name) { return name.starts_with(format.name); };
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), has_base)) << format.name;
  }
}

}  // namespace
}  // namespace forge
