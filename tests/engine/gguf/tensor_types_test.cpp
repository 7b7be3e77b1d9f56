#include "engine/gguf/tensor_types.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

TEST(TensorTypesTest, AgreeWithTheFormatsOfTheEngine) {
  ASSERT_FALSE(KnownFormats().empty());
  for (const FormatInfo& format : KnownFormats()) {
    const TensorType* const type = FindTensorType(format.dtype);
    ASSERT_NE(type, nullptr) << format.name;
    EXPECT_EQ(type->name, format.name);
    EXPECT_EQ(type->block_elements, format.block_elements) << format.name;
    EXPECT_EQ(type->block_bytes, format.block_bytes) << format.name;
  }
}

TEST(TensorTypesTest, FindsEveryIdOfTheFormatAndNoOther) {
  int n_types = 0;
  for (uint32_t id = 0; id < 100; ++id) {
    const TensorType* const type = FindTensorType(DType{id});
    if (type == nullptr) continue;
    EXPECT_EQ(type->dtype, DType{id});
    EXPECT_GT(type->block_elements, 0u);
    EXPECT_GT(type->block_bytes, 0u);
    ++n_types;
  }
  EXPECT_EQ(n_types, 32);
  for (const uint32_t removed : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 40u, 0xffffffffu})
    EXPECT_EQ(FindTensorType(DType{removed}), nullptr) << removed;
}

TEST(TensorTypesTest, NamesTypes) {
  EXPECT_EQ(TensorTypeName(DType{12}), "Q4_K");
  EXPECT_EQ(TensorTypeName(DType{4}), "unknown");
}

}  // namespace
}  // namespace forge
