// Loads the reference models onto the CPU device.

#include <gtest/gtest.h>

#include <algorithm>
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
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::ConformanceDir;
using testing::FakeDevice;

constexpr uint64_t kDeviceBytes = uint64_t{1} << 30;

// Every model of the reference data whose formats the engine has.
const std::vector<std::string>& SupportedModels() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    for (const char* folder : {"architectures", "models", "quantization"})
      for (const auto& entry : std::filesystem::directory_iterator(ConformanceDir() / folder)) {
        if (entry.path().extension() != ".gguf") continue;
        const auto file = GgufFile::Open(entry.path());
        if (file.ok() && std::ranges::all_of((*file)->tensors(), [](const GgufTensor& tensor) {
              return FindFormat(tensor.dtype) != nullptr;
            }))
          found.push_back(std::string(folder) + "/" + entry.path().stem().string());
      }
    std::ranges::sort(found);
    return found;
  }();
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

TEST_F(ModelConformanceTest, AModelBeyondTheEngineTouchesNoDeviceMemory) {
  std::string bytes = testing::MakeTinyModel({}).Build();
  for (size_t at = 0; (at = bytes.find("llama", at)) != std::string::npos;)
    bytes.replace(at, 5, "mamba");
  const testing::TempFile path(bytes);
  const auto model = Model::Load(**GgufFile::Open(path.path()), {}, *ledger_, {});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::kUnimplemented) << model.status().message();
  EXPECT_EQ(model.status().reason(), "ARCHITECTURE_UNSUPPORTED");
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
