#include "kernels/cpu/panel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/attention_panel.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_tiling.h"
#include "kernels/cpu/pack.h"
#include "kernels/reference/matmul.h"
#include "tests/kernels/packed_matrix.h"

// How near panels are to the exact product. That they are right in every shape, beside generated
// tokens and to the same bits in every step is in matmul_test.cpp, as it is for every device.
namespace forge {
namespace {

using testing::GuardedBytes;

class PanelTest : public ::testing::TestWithParam<FormatInfo> {
 protected:
  static constexpr int64_t kRows = 64, kCols = 2048;
  static constexpr int kTokens = 32;

  void SetUp() override {
    if (!HasCpuLevel(CpuLevel::kAmx)) GTEST_SKIP() << "a processor without AMX";
  }

  // The root of the mean squared error, in that of the sums themselves.
  double RelativeError(int n_prompt_tokens) const {
    std::mt19937 random(7);
    const WeightShape shape = {GetParam().dtype, kRows, kCols};
    const auto rows = testing::RandomWeights(shape.dtype, kRows, kCols, random);
    std::normal_distribution<float> normal;
    std::vector<float> x(kTokens * kCols);
    for (float& value : x) value = normal(random);
    std::vector<double> exact(kTokens * kRows);
    ReferenceMatmul(shape.dtype, rows.data(), kRows, kCols, x.data(), kTokens, nullptr, nullptr,
                    exact.data());

    GuardedBytes packed(CpuPackedWeightBytes(shape).value());
    EXPECT_TRUE(CpuPackRows(shape, 0, kRows, rows.data(), packed.data()).ok());
    GuardedBytes workspace(CpuMatmulWorkspaceBytes(kTokens, kCols));
    std::vector<float> y(exact.size());
    const auto pool = ThreadPool::Create(2).value();
    CpuStream stream(*pool, CpuLevel::kAmx);
    MatmulArgs args;
    args.x = x.data();
    args.n_tokens = kTokens;
    args.n_prompt_tokens = n_prompt_tokens;
    args.n_targets = 1;
    args.targets[0] = {{packed.data(), shape}, nullptr, nullptr, y.data()};
    args.workspace = {workspace.data(), workspace.size()};
    EXPECT_TRUE(CpuMatmul(args, stream).ok());

    double error = 0.0, size = 0.0;
    for (size_t i = 0; i < y.size(); ++i) {
      error += std::pow(static_cast<double>(y[i]) - exact[i], 2);
      size += std::pow(exact[i], 2);
    }
    return std::sqrt(error / size);
  }
};

TEST_P(PanelTest, IsNearerThanActivationsInEightBits) {
  const MatmulFormat format = FindMatmulFormat(GetParam().dtype, kCols, CpuLevel::kAmx);
  const double of_prompt = RelativeError(kTokens);
  const double of_generated = RelativeError(0);
  RecordProperty("of_prompt", std::to_string(of_prompt));
  RecordProperty("of_generated", std::to_string(of_generated));
  // A weight and an activation are off by 0.0016 of themselves, rounded to 8 bits each.
  EXPECT_LE(of_prompt, format.is_quantized ? 0.0026 : 1e-5);
  if (format.is_quantized && !format.needs_digits) {
    EXPECT_LE(of_prompt, of_generated / 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, PanelTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& format) { return std::string(format.param.name); });

// Which caches tiles attend to; prompt_attention_test.cpp has the results of both kinds.
TEST(AttentionPanelTest, IsThereForUsualHeadsInCachesOfFewBits) {
  if (!HasCpuLevel(CpuLevel::kAmx)) GTEST_SKIP() << "a processor without AMX";
  KvLayerView cache;
  cache.block_tokens = 32;
  cache.head_dim = cache.value_dim = 64;
  for (const KvDType dtype : {KvDType::kF16, KvDType::kBf16, KvDType::kQ8_0}) {
    cache.dtype = dtype;
    EXPECT_NE(FindAttendPanel(cache, CpuLevel::kAmx), nullptr) << KvDTypeName(dtype);
    EXPECT_EQ(FindAttendPanel(cache, CpuLevel::kAvx512), nullptr) << KvDTypeName(dtype);
  }
  cache.dtype = KvDType::kF32;
  EXPECT_EQ(FindAttendPanel(cache, CpuLevel::kAmx), nullptr);
  cache.dtype = KvDType::kF16;
  cache.head_dim = 33;
  EXPECT_EQ(FindAttendPanel(cache, CpuLevel::kAmx), nullptr) << "odd heads";
  cache.head_dim = 288;
  EXPECT_EQ(FindAttendPanel(cache, CpuLevel::kAmx), nullptr) << "long heads";
  cache.head_dim = 64;
  cache.values_in_keys = true;
  EXPECT_EQ(FindAttendPanel(cache, CpuLevel::kAmx), nullptr) << "latent attention";
}

}  // namespace
}  // namespace forge
