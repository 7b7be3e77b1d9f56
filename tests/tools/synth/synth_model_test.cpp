#include "tools/synth/synth_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/model_plan.h"
#include "engine/runtime/engine.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Device> MakeDevice(int n_threads) {
  Result<std::unique_ptr<Device>> device = CreateCpuDevice({.n_threads = n_threads});
  FORGE_CHECK(device.ok(), device.status().ToString());
  return std::move(*device);
}

// A file with the model's header and holes in place of its weights.
testing::TempFile WriteHeaderOnly(const SynthModel& model) {
  testing::TempFile file(model.header);
  std::filesystem::resize_file(file.path(), model.file_bytes());
  return file;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

TEST(SynthModelTest, PlansEveryShape) {
  const std::unique_ptr<Device> device = MakeDevice(1);
  for (const ModelShape& shape : ModelShapes()) {
    SCOPED_TRACE(shape.name);
    const Result<SynthModel> model =
        PlanSynthModel({.shape = std::string(shape.name), .type = "Q4_K_M"});
    ASSERT_TRUE(model.ok()) << model.status().ToString();
    const testing::TempFile file = WriteHeaderOnly(*model);
    const auto gguf = GgufFile::Open(file.path());
    ASSERT_TRUE(gguf.ok()) << gguf.status().ToString();
    EXPECT_EQ((*gguf)->tensors().size(), model->tensors.size());
    const Result<ModelDescription> description = DescribeModel(**gguf);
    ASSERT_TRUE(description.ok()) << description.status().ToString();
    EXPECT_EQ(description->config.n_vocab, shape.n_vocab);
    EXPECT_EQ(description->config.ProjectedQueryDimOf(0),
              shape.head_dim * (shape.is_hybrid() ? 2 : 1));
    const Result<ModelPlan> plan =
        PlanModel(*description, **gguf, {.context_length = 512}, *device);
    ASSERT_TRUE(plan.ok()) << plan.status().ToString();
    EXPECT_LE(plan->file_bytes, model->file_bytes());
    EXPECT_GT(plan->file_bytes, model->file_bytes() - model->header.size() - (1 << 20));
  }
}

TEST(SynthModelTest, HasTheParametersOfThePublishedModels) {
  const auto parameters = [](const char* shape) {
    const ModelShape* const found = FindModelShape(shape);
    const Result<SynthModel> model =
        PlanSynthModel({.shape = shape, .type = "F16", .n_layers = found->n_layers});
    EXPECT_TRUE(model.ok());
    uint64_t n = 0;
    for (const GgufTensorEntry& tensor : model->tensors) n += tensor.n_elements();
    return static_cast<double>(n) * 1e-9;
  };
  // In billions, from the models' cards.
  EXPECT_NEAR(parameters("qwen2.5-0.5b"), 0.494, 0.001);
  EXPECT_NEAR(parameters("qwen2.5-1.5b"), 1.544, 0.001);
  EXPECT_NEAR(parameters("qwen2.5-7b"), 7.616, 0.001);
  EXPECT_NEAR(parameters("qwen3-30b-a3b"), 30.532, 0.001);
  EXPECT_NEAR(parameters("llama-3.2-1b"), 1.236, 0.001);
  EXPECT_NEAR(parameters("llama-3.1-8b"), 8.030, 0.001);
  EXPECT_NEAR(parameters("mistral-7b"), 7.248, 0.001);
  EXPECT_NEAR(parameters("mixtral-8x7b"), 46.703, 0.001);
  EXPECT_NEAR(parameters("gemma-3-1b"), 1.000, 0.001);
  EXPECT_NEAR(parameters("smollm3-3b"), 3.075, 0.001);
  EXPECT_NEAR(parameters("glm-4-9b"), 9.400, 0.01);
  EXPECT_NEAR(parameters("deepseek-v2-lite"), 15.706, 0.001);
  EXPECT_NEAR(parameters("qwen3.5-0.8b"), 0.752, 0.001);  // without what sees
  EXPECT_NEAR(parameters("lfm2-1.2b"), 1.170, 0.001);
  EXPECT_NEAR(parameters("granite-4.0-h-tiny"), 6.94, 0.01);
  EXPECT_NEAR(parameters("nemotron-nano-9b-v2"), 8.89, 0.01);
  // 2.3 of them "effective", the rest the table of inputs; without what sees and hears.
  EXPECT_NEAR(parameters("gemma-4-e2b"), 2.28 + 262144e-9 * 35 * 256, 0.01);
}

TEST(SynthModelTest, WritesTheSameBytesOnAnyNumberOfThreads) {
  SynthOptions options = {.shape = "qwen2.5-0.5b", .type = "Q4_0", .n_layers = 1};
  const Result<SynthModel> model = PlanSynthModel(options);
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  const auto bytes_of = [&](int n_threads, uint64_t seed) {
    const testing::TempFile file;
    options.n_threads = n_threads;
    options.seed = seed;
    const Status written = WriteSynthModel(*model, options, file.path());
    EXPECT_TRUE(written.ok()) << written.ToString();
    return ReadFile(file.path());
  };
  const std::string bytes = bytes_of(1, 1);
  EXPECT_EQ(bytes.size(), model->file_bytes());
  EXPECT_TRUE(bytes == bytes_of(3, 1));
  EXPECT_FALSE(bytes == bytes_of(3, 2));
}

TEST(SynthModelTest, GeneratesTheSameTextTwiceInTheEngine) {
  const SynthOptions options = {.shape = "qwen2.5-0.5b", .type = "Q4_K_M", .n_layers = 2};
  const Result<SynthModel> model = PlanSynthModel(options);
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  const testing::TempFile file;
  const Status written = WriteSynthModel(*model, options, file.path());
  ASSERT_TRUE(written.ok()) << written.ToString();
  EngineOptions engine_options;
  engine_options.devices.push_back(MakeDevice(2));
  Result<std::unique_ptr<Engine>> engine = Engine::Create(std::move(engine_options));
  ASSERT_TRUE(engine.ok());
  const Result<ModelId> id = (*engine)->Load(file.path(), "", {.context_length = 128}, nullptr);
  ASSERT_TRUE(id.ok()) << id.status().ToString();
  std::vector<std::vector<TokenId>> answers;
  for (int run = 0; run < 2; ++run) {
    GenerateRequest request;
    request.prompt = {1, 500, 70000, 3};
    request.max_tokens = 24;
    request.ignore_end = true;
    request.sampling.temperature = 0;
    const testing::Answer answer = testing::Generate(**engine, *id, request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.ToString();
    answers.push_back(answer.tokens);
  }
  EXPECT_EQ(answers[0].size(), 24u);
  EXPECT_EQ(answers[0], answers[1]);
}

TEST(SynthModelTest, LeavesNothingBehindWhereTheFileCannotBeWritten) {
  const SynthOptions options = {.shape = "qwen2.5-0.5b", .type = "Q4_0", .n_layers = 1};
  const Result<SynthModel> model = PlanSynthModel(options);
  ASSERT_TRUE(model.ok());
  const Status written = WriteSynthModel(*model, options, "/proc/no-such-folder/model.gguf");
  EXPECT_EQ(written.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(written.message()), HasSubstr("model.gguf"));
}

}  // namespace
}  // namespace forge
