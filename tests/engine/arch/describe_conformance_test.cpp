// Every model file of the reference data is described, or refused for the right reason.

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/gguf_file.h"
#include "kernels/formats/format.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

using testing::ConformanceDir;

Result<ModelDescription> DescribeFile(const std::filesystem::path& path) {
  const auto file = GgufFile::Open(path);
  if (!file.ok()) return file.status();
  return DescribeModel(**file);
}

TEST(DescribeModelTest, DescribesEveryArchitecture) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  std::set<std::string> families;
  for (const auto& entry :
       std::filesystem::directory_iterator(ConformanceDir() / "architectures")) {
    if (entry.path().extension() != ".gguf") continue;
    const auto model = DescribeFile(entry.path());
    ASSERT_TRUE(model.ok()) << model.status().ToString();
    families.insert(model->config.architecture);
  }
  EXPECT_GE(families.size(), 12u);
}

TEST(DescribeModelTest, DescribesEveryQuantizationItHasTheFormatsOf) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  int n_described = 0;
  for (const auto& entry : std::filesystem::directory_iterator(ConformanceDir() / "quantization")) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = GgufFile::Open(entry.path());
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    bool has_formats = true;
    for (const GgufTensor& tensor : (*file)->tensors())
      has_formats = has_formats && FindFormat(tensor.dtype) != nullptr;
    const auto model = DescribeModel(**file);
    EXPECT_EQ(model.ok(), has_formats) << entry.path();
    if (!has_formats) {
      EXPECT_EQ(model.status().code(), StatusCode::kUnimplemented) << model.status().ToString();
    }
    n_described += model.ok();
  }
  EXPECT_GE(n_described, 10);
}

TEST(DescribeModelTest, ReadsWhatEachArchitectureFileIsThereFor) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const auto config = [](const std::string& name) {
    const auto model = DescribeFile(ConformanceDir() / "architectures" / (name + ".gguf"));
    EXPECT_TRUE(model.ok()) << model.status().ToString();
    return model.ok() ? model->config : ModelConfig();
  };
  EXPECT_EQ(config("llama-mha").n_kv_heads, 4u);
  EXPECT_EQ(config("llama-gqa").n_kv_heads, 2u);
  EXPECT_EQ(config("llama-mqa-tied").n_kv_heads, 1u);
  EXPECT_TRUE(config("llama-mqa-tied").has_tied_output);
  EXPECT_EQ(config("llama-norope-key").head_dim, 32u);
  EXPECT_EQ(config("llama-norope-key").rope.dimension, 32u);
  EXPECT_EQ(config("llama-headdim").head_dim, 48u);
  EXPECT_TRUE(config("llama-fused-qkv").has_fused_qkv);
  EXPECT_TRUE(config("llama-rope-freqs").has_rope_factors);
  EXPECT_EQ(config("llama-rope-freqs").rope.base, 500000.0);
  EXPECT_EQ(config("llama-linear").rope.scaling, RopeScaling::kLinear);
  EXPECT_EQ(config("llama-linear").rope.factor, 2.0);
  EXPECT_EQ(config("llama-yarn").rope.scaling, RopeScaling::kYarn);
  EXPECT_EQ(config("llama-yarn").rope.original_context, 128u);
  EXPECT_EQ(config("qwen2-tied-norope-key").n_heads, 7u);
  EXPECT_EQ(config("qwen2-tied-norope-key").n_kv_heads, 1u);
  EXPECT_EQ(config("qwen2-tied-norope-key").rope.dimension, 32u);
  EXPECT_TRUE(config("qwen2-untied").has_qkv_bias);
  EXPECT_FALSE(config("qwen2-untied").has_tied_output);
}

TEST(DescribeModelTest, DescribesStories260K) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const auto model = DescribeFile(ConformanceDir() / "models" / "stories260K.gguf");
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  EXPECT_EQ(model->config.n_layers, 5u);
  EXPECT_EQ(model->config.n_vocab, 512u);
  EXPECT_EQ(model->config.n_kv_heads, 4u);
  EXPECT_TRUE(model->config.has_tied_output);
}

}  // namespace
}  // namespace forge
