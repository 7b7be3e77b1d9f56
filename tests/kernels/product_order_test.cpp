#include "kernels/cpu/product_order.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/expert_matmul.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pack.h"
#include "kernels/formats/formats.h"
#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;

TEST(ProductOrderTest, GivesWhatCameNextTheLastTime) {
  const std::vector<std::byte> memory(64);
  const std::byte* const a = memory.data();
  const std::byte* const b = a + 1;
  const std::byte* const c = a + 2;
  const auto read = [](const std::byte* first) {
    return std::vector<FirstRead>{FirstRead(first, 8)};
  };
  ProductOrder order;
  EXPECT_TRUE(order.Begin(a, read(a)).empty());
  EXPECT_TRUE(order.Begin(b, read(b)).empty());
  const FirstReads after_a = order.Begin(a, read(a));
  ASSERT_EQ(after_a.size(), 1u);
  EXPECT_EQ(after_a[0].data(), b);
  EXPECT_TRUE(order.Begin(c, read(c)).empty());
  const FirstReads once_more = order.Begin(a, read(a));
  ASSERT_EQ(once_more.size(), 1u);
  EXPECT_EQ(once_more[0].data(), c);
  EXPECT_EQ(order.Begin(c, {}).front().data(), a);
  EXPECT_TRUE(order.Begin(a, read(a)).empty()) << "no one can tell what c reads first";
}

// Products of Q8_0, which an op multiplies with.
class OrderOfOpsTest : public ::testing::Test {
 protected:
  static constexpr int64_t kColumns = 1024;
  static constexpr int kThreads = 3;

  struct Matrix {
    explicit Matrix(int64_t n_rows)
        : shape{Q8_0::kDType, n_rows, kColumns}, packed(CpuPackedWeightBytes(shape).value()) {
      std::mt19937 random(5);
      const auto rows = testing::RandomWeights(shape.dtype, n_rows, kColumns, random);
      EXPECT_TRUE(CpuPackRows(shape, 0, n_rows, rows.data(), packed.data()).ok());
    }
    WeightShape shape;
    GuardedBytes packed;
  };

  void Run(std::vector<Matrix>& matrices, int n_tokens, bool is_gated = false) {
    const std::vector<float> x(static_cast<size_t>(n_tokens * kColumns), 1.0f);
    std::vector<std::vector<float>> y;
    MatmulArgs args;
    args.x = x.data();
    args.n_tokens = n_tokens;
    for (Matrix& matrix : matrices) {
      y.emplace_back(static_cast<size_t>(n_tokens * matrix.shape.n_rows));
      args.targets[static_cast<size_t>(args.n_targets++)] = {
          {matrix.packed.data(), matrix.shape}, nullptr, nullptr, y.back().data()};
    }
    if (is_gated) args.activation = Activation::kSilu;
    GuardedBytes workspace(CpuMatmulWorkspaceBytes(n_tokens, kColumns));
    args.workspace = {workspace.data(), workspace.size()};
    EXPECT_TRUE(CpuMatmul(args, stream_).ok());
  }

  // One row with the second of two experts.
  void RunExpert(Matrix& experts) {
    const std::vector<float> x(kColumns, 1.0f);
    const int32_t chosen = 1;
    const WeightShape shape = {Q8_0::kDType, experts.shape.n_rows / 2, kColumns};
    std::vector<float> y(static_cast<size_t>(shape.n_rows));
    ExpertMatmulArgs args;
    args.x = x.data();
    args.n_x_rows = args.pairs_per_row = 1;
    args.experts = &chosen;
    args.n_targets = 1;
    args.targets[0] = {
        {{experts.packed.data(), shape}, experts.packed.size() / 2, 2}, nullptr, y.data()};
    GuardedBytes workspace(CpuExpertMatmulWorkspaceBytes(1, kColumns, 2));
    args.workspace = {workspace.data(), workspace.size()};
    const Status status = CpuExpertMatmul(args, stream_);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }

  // What threads read first in the product that came after the one of `matrices`.
  FirstReads After(std::vector<Matrix>& matrices) {
    return stream_.product_order().Begin(matrices[0].packed.data(), {});
  }

  // That a read lies within the matrix, and begins this far into it, to an eighth of it.
  static void ExpectWithin(Matrix& matrix, FirstRead read, double fraction) {
    const std::byte* const begin = matrix.packed.data();
    const auto bytes = static_cast<double>(matrix.packed.size());
    EXPECT_GE(read.data(), begin);
    EXPECT_LE(read.data() + read.size(), begin + matrix.packed.size());
    EXPECT_NEAR(static_cast<double>(read.data() - begin) / bytes, fraction, 0.125);
    EXPECT_GE(static_cast<double>(read.size()), 0.25 * bytes);
  }

  const std::unique_ptr<ThreadPool> pool_ = ThreadPool::Create(kThreads).value();
  CpuStream stream_{*pool_, CpuLevel::kPortable};
};

TEST_F(OrderOfOpsTest, KnowsWhereThreadsBeginInTheNextProduct) {
  std::vector<Matrix> qkv, gate_up;
  for (const int64_t n_rows : {512, 128, 128}) qkv.emplace_back(n_rows);
  for (const int64_t n_rows : {512, 512}) gate_up.emplace_back(n_rows);
  Run(qkv, 1);
  Run(gate_up, 1, true);
  Run(qkv, 1);
  const FirstReads of_qkv = After(gate_up);
  ASSERT_EQ(of_qkv.size(), 3u);
  EXPECT_EQ(of_qkv[0].data(), qkv[0].packed.data());
  ExpectWithin(qkv[0], of_qkv[1], 0.5);  // 256 of 768 rows
  ExpectWithin(qkv[1], of_qkv[2], 0.0);  // 512 of 768

  Run(qkv, 1);
  Run(gate_up, 1, true);
  const FirstReads of_gate = After(qkv);
  ASSERT_EQ(of_gate.size(), 3u);
  EXPECT_EQ(of_gate[0].data(), gate_up[0].packed.data());
  ExpectWithin(gate_up[0], of_gate[0], 0.0);
  ExpectWithin(gate_up[0], of_gate[1], 1.0 / 3);
  ExpectWithin(gate_up[0], of_gate[2], 2.0 / 3);
}

// Which experts come next is known too late, but not what comes after them.
TEST_F(OrderOfOpsTest, TakesNoExpertForWhatComesNext) {
  std::vector<Matrix> router, experts, other;
  router.emplace_back(512);
  experts.emplace_back(1024);
  other.emplace_back(512);
  for (int step = 0; step < 2; ++step) {
    Run(router, 1);
    RunExpert(experts[0]);
    Run(other, 1);
  }
  const FirstReads after_experts = After(experts);
  ASSERT_EQ(after_experts.size(), 3u);
  EXPECT_EQ(after_experts[0].data(), other[0].packed.data());
  EXPECT_TRUE(After(router).empty());
}

TEST_F(OrderOfOpsTest, LeavesOutWhatIsNotBoundByMemory) {
  std::vector<Matrix> large, small, other;
  large.emplace_back(512);
  other.emplace_back(512);
  small.emplace_back(16);
  Run(large, 1);
  Run(small, 1);
  Run(other, 64);
  EXPECT_TRUE(After(large).empty());
}

}  // namespace
}  // namespace forge
