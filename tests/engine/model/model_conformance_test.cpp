// Loads the reference models onto the CPU device.

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/model.h"
#include "kernels/formats/formats.h"
#include "tests/support/conformance.h"
#include "tests/support/fake_device.h"

namespace forge {
namespace {

using testing::ConformanceDir;
using testing::FakeDevice;

constexpr uint64_t kDeviceBytes = uint64_t{1} << 30;

const std::vector<std::string>& SupportedModels() {
  static const std::vector<std::string> names = {
      "architectures/llama-fused-qkv",  "architectures/llama-gqa",
      "architectures/llama-headdim",    "architectures/llama-linear",
      "architectures/llama-mha",        "architectures/llama-mqa-tied",
      "architectures/llama-norope-key", "architectures/llama-rope-freqs",
      "architectures/llama-yarn",       "architectures/qwen2-tied-norope-key",
      "architectures/qwen2-untied",     "models/stories260K",
      "quantization/llama-bf16",        "quantization/llama-f16",
      "quantization/llama-f32",         "quantization/llama-q4_0",
      "quantization/llama-q4_1",        "quantization/llama-q4_k_m",
      "quantization/llama-q4_k_s",      "quantization/llama-q5_0",
      "quantization/llama-q5_1",        "quantization/llama-q5_k_m",
      "quantization/llama-q6_k",        "quantization/llama-q8_0"};
  return names;
}

class ModelConformanceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    FORGE_NEEDS_CONFORMANCE_DATA();
    Result<std::unique_ptr<FakeDevice>> device = FakeDevice::Create(kDeviceBytes);
    ASSERT_TRUE(device.ok()) << device.status().message();
    device_ = std::move(*device);
    ledger_ = std::make_unique<Ledger>(*device_, AdmissionPolicy());
  }

  static std::unique_ptr<GgufFile> Open(const std::string& name) {
    Result<std::unique_ptr<GgufFile>> file =
        GgufFile::Open((ConformanceDir() / (name + ".gguf")).string());
    EXPECT_TRUE(file.ok()) << file.status().message();
    return file.ok() ? std::move(*file) : nullptr;
  }
  void ExpectBaseline() const {
    EXPECT_EQ(ledger_->reserved_bytes(), 0u);
    EXPECT_EQ(device_->allocation_count().allocations, 0u);
    EXPECT_EQ(device_->allocation_count().bytes, 0u);
  }

  std::unique_ptr<FakeDevice> device_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(ModelConformanceTest, PlanIsTheMeasuredAllocationOfEveryModel) {
  const std::array<LoadOptions, 2> all_options = {
      LoadOptions{},
      LoadOptions{.context_length = 77, .max_sequences = 3, .kv_dtype = KvDType::kF32}};
  for (const std::string& name : SupportedModels()) {
    SCOPED_TRACE(name);
    for (const LoadOptions& options : all_options) {
      const auto file = Open(name);
      ASSERT_NE(file, nullptr);
      const Result<ModelDescription> description = DescribeModel(*file);
      ASSERT_TRUE(description.ok()) << description.status().message();
      const Result<ModelPlan> plan = PlanModel(*description, *file, options, *device_);
      ASSERT_TRUE(plan.ok()) << plan.status().message();
      {
        const auto model = Model::Load(*file, options, *ledger_, {});
        ASSERT_TRUE(model.ok()) << model.status().message();
        EXPECT_EQ(device_->allocation_count().bytes, plan->total_bytes());
        EXPECT_EQ(device_->allocation_count().allocations, 3u);
        EXPECT_EQ(ledger_->reserved_bytes(), plan->total_bytes());
      }
      ExpectBaseline();
    }
  }
}

// Six bytes in a hundred leave room for the padding of row groups; float32 would take two to eight
// times the file's bytes.
TEST_F(ModelConformanceTest, QuantizedWeightsStayQuantizedInMemory) {
  int n_quantized = 0;
  for (const std::string& name : SupportedModels()) {
    SCOPED_TRACE(name);
    const auto file = Open(name);
    ASSERT_NE(file, nullptr);
    const Result<ModelPlan> plan = PlanModel(*DescribeModel(*file), *file, {}, *device_);
    ASSERT_TRUE(plan.ok());
    for (const WeightPlacement& weight : plan->weights) {
      if (FindFormat(weight.file_dtype)->block_elements == 1) continue;
      ++n_quantized;
      EXPECT_LE(weight.size_bytes * 100, weight.file_bytes() * 106)
          << weight.spec.file_tensor << ", " << FindFormat(weight.file_dtype)->name;
    }
  }
  EXPECT_GT(n_quantized, 100);
}

TEST_F(ModelConformanceTest, ModelsBeyondTheEngineTouchNoDeviceMemory) {
  for (const std::string name : {"architectures/mixtral", "architectures/gemma3"}) {
    SCOPED_TRACE(name);
    const auto file = Open(name);
    ASSERT_NE(file, nullptr);
    const auto model = Model::Load(*file, {}, *ledger_, {});
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), StatusCode::kUnimplemented) << model.status().message();
    EXPECT_EQ(model.status().reason(), "ARCHITECTURE_UNSUPPORTED");
  }
  EXPECT_EQ(device_->allocate_calls(), 0u);
  EXPECT_EQ(device_->reading_calls(), 0u);
}

TEST_F(ModelConformanceTest, LoadingAndUnloading200TimesLeavesNothingOnTheDevice) {
  const auto file = Open("models/stories260K");
  ASSERT_NE(file, nullptr);
  for (int i = 0; i < 200; ++i) {
    const auto model = Model::Load(*file, {.max_sequences = 1}, *ledger_, {});
    ASSERT_TRUE(model.ok()) << i << ": " << model.status().message();
  }
  ExpectBaseline();
}

}  // namespace
}  // namespace forge
