#include "kernels/reference/embed.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;
using testing::PackedMatrix;

class EmbedTest : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, FormatInfo>> {
 protected:
  const FormatInfo& format() const { return std::get<FormatInfo>(GetParam()); }

  std::unique_ptr<testing::OpRig> rig_ = std::get<testing::OpRigKind>(GetParam()).Create();
};

TEST_P(EmbedTest, ReturnsTheBitsOfTheFormat) {
  const uint32_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  constexpr int64_t kRows = 37;
  const int64_t dim = 3 * format().block_elements;
  PackedMatrix table(*rig_, {format().dtype, kRows, dim}, rng);
  const std::vector<int32_t> tokens = {0, 36, 15, 16, 31, 32, 7, 7};
  const int n_tokens = static_cast<int>(tokens.size());
  const auto n_values = tokens.size() * static_cast<size_t>(dim);
  GuardedBytes y(n_values * sizeof(float));
  ASSERT_TRUE(rig_->Run(EmbedArgs{.table = table.view(),
                                  .tokens = tokens.data(),
                                  .y = reinterpret_cast<float*>(y.data()),
                                  .n_tokens = n_tokens})
                  .ok());
  std::vector<float> expected(n_values);
  ReferenceEmbed(format().dtype, table.file_rows().data(), dim, tokens.data(), n_tokens,
                 expected.data());
  EXPECT_TRUE(y.IsIntact());
  for (size_t i = 0; i < n_values; ++i) {
    const float actual = reinterpret_cast<const float*>(y.data())[i];
    ASSERT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected[i]))
        << "value " << i << ": " << actual << " instead of " << expected[i];
  }
}

TEST_P(EmbedTest, ScalesWhatItReturns) {
  const uint32_t seed = 13;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  const int64_t dim = 3 * format().block_elements;
  PackedMatrix table(*rig_, {format().dtype, 20, dim}, rng);
  const int32_t tokens[] = {19, 0, 7};
  const float scale = 45.254834f;  // sqrt(2048), as a gemma model has it
  const auto n_values = 3 * static_cast<size_t>(dim);
  GuardedBytes y(n_values * sizeof(float));
  ASSERT_TRUE(rig_->Run(EmbedArgs{.table = table.view(),
                                  .tokens = tokens,
                                  .y = reinterpret_cast<float*>(y.data()),
                                  .n_tokens = 3,
                                  .scale = scale})
                  .ok());
  EXPECT_TRUE(y.IsIntact());
  std::vector<float> expected(n_values);
  ReferenceEmbed(format().dtype, table.file_rows().data(), dim, tokens, 3, expected.data());
  for (size_t i = 0; i < n_values; ++i)
    ASSERT_EQ(reinterpret_cast<const float*>(y.data())[i], expected[i] * scale) << i;
}

TEST_P(EmbedTest, RefusesAScaleThatIsNotFinite) {
  std::mt19937 rng(14);
  PackedMatrix table(*rig_, {format().dtype, 20, format().block_elements}, rng);
  std::vector<float> y(format().block_elements, 5.0f);
  const int32_t token = 0;
  const Status status = rig_->Run(EmbedArgs{
      .table = table.view(), .tokens = &token, .y = y.data(), .n_tokens = 1, .scale = NAN});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
}

TEST_P(EmbedTest, LetsNoTokenOutsideTheTablePass) {
  std::mt19937 rng(12);
  PackedMatrix table(*rig_, {format().dtype, 20, format().block_elements}, rng);
  std::vector<float> y(2 * format().block_elements, 5.0f);
  for (const int32_t bad : {-1, 20, 31, 1 << 30}) {
    const int32_t tokens[] = {3, bad};
    const Status status =
        rig_->Run(EmbedArgs{.table = table.view(), .tokens = tokens, .y = y.data(), .n_tokens = 2});
    if (rig_->refuses_indices()) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad;
      EXPECT_EQ(y, std::vector<float>(y.size(), 5.0f));
    } else {
      EXPECT_TRUE(status.ok()) << status.ToString();
      EXPECT_FALSE(std::isnan(y.front()));
      EXPECT_TRUE(std::isnan(y.back())) << bad;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryDeviceAndFormat, EmbedTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::ValuesIn(KnownFormats())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(std::get<1>(test.param).name);
                         });

}  // namespace
}  // namespace forge
