#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/formats/formats.h"
#include "kernels/hip/hip_device.h"
#include "tests/hip_emulator/control.h"

// Which kernels an op launches. The tests of the ops say that results are right whichever run;
// these say that the fast ones do, and that targets without the units for them get the others.
namespace forge::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Kernels = std::map<std::string, uint64_t>;  // launches by name

constexpr const char* kKernels[] = {
    "attention",        "batch_matmul", "combine_splits", "gated_activation",
    "matvec",           "plan_pairs",   "quantize",       "norm_quantize",
    "prompt_attention", "rms_norm",     "rope_append",
};

class HipLaunchTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kArenaBytes = uint64_t{16} << 20;
  static constexpr int kDim = 256;

  void Start(const std::string& target) {
    Stop();
    emulator::Reset({{.target = target, .in_sysfs = false}});
    device_ = CreateHipDevice({.index = 0}).value();
    stream_ = device_->CreateStream().value();
    arena_ = static_cast<std::byte*>(device_->Allocate(kArenaBytes).value());
    const std::vector<std::byte> zeros(kArenaBytes);
    ASSERT_TRUE(device_->CopyIn(arena_, zeros.data(), kArenaBytes, *stream_).ok());
    used_ = 0;
  }
  void Stop() {
    stream_.reset();
    if (arena_ != nullptr) device_->Free(std::exchange(arena_, nullptr), kArenaBytes);
    device_.reset();
  }
  void TearDown() override {
    Stop();
    EXPECT_THAT(emulator::TakeFaults(), IsEmpty());
    emulator::Reset();
  }

  // Zeros on the device.
  template <typename T = float>
  T* Zeros(uint64_t n) {
    auto* const data = reinterpret_cast<T*>(arena_ + used_);
    used_ += (n * sizeof(T) + 255) / 256 * 256;
    EXPECT_LE(used_, kArenaBytes);
    return data;
  }
  WeightView Matrix(DType dtype) {
    const WeightShape shape = {dtype, kDim, kDim};
    return {Zeros<std::byte>(device_->PackedWeightBytes(shape).value()), shape};
  }
  MatmulArgs Product(DType dtype, int n_tokens, int n_targets = 1) {
    const auto n = static_cast<uint64_t>(n_tokens * kDim);
    MatmulArgs args;
    args.x = Zeros(n);
    args.n_tokens = n_tokens;
    args.n_targets = n_targets;
    for (size_t i = 0; i < static_cast<size_t>(n_targets); ++i)
      args.targets[i] = {.weight = Matrix(dtype), .y = Zeros(n)};
    const uint64_t bytes = device_->MatmulWorkspaceBytes(n_tokens, kDim);
    args.workspace = {Zeros<std::byte>(bytes), bytes};
    return args;
  }
  InputNorm Norm(int n_tokens) {
    return {Zeros(kDim), 1e-5f, Zeros(static_cast<uint64_t>(n_tokens * kDim))};
  }
  ExpertMatmulArgs ExpertProduct(DType dtype, int n_tokens) {
    constexpr int kExperts = 2;
    const auto n = static_cast<uint64_t>(n_tokens * kDim);
    ExpertMatmulArgs args;
    args.x = Zeros(n);
    args.n_x_rows = n_tokens;
    args.pairs_per_row = 1;
    args.experts = Zeros<int32_t>(static_cast<uint64_t>(n_tokens));
    args.n_targets = 2;
    for (ExpertMatmulTarget& target : args.targets) {
      const WeightView first = Matrix(dtype);
      const uint64_t stride = (device_->PackedWeightBytes(first.shape).value() + 63) / 64 * 64;
      Zeros<std::byte>(stride);  // the second expert's
      target = {{first, stride, kExperts}, nullptr, Zeros(n)};
    }
    const uint64_t bytes = device_->ExpertMatmulWorkspaceBytes(n_tokens, kDim, kExperts);
    args.workspace = {Zeros<std::byte>(bytes), bytes};
    return args;
  }
  // Of n_tokens of one sequence, or of as many sequences with one each.
  RaggedBatch Batch(int n_tokens, bool is_decode = false) {
    const int n_sequences = is_decode ? n_tokens : 1;
    std::vector<int32_t> positions, sequences, first = {0};
    for (int t = 0; t < n_tokens; ++t) {
      positions.push_back(is_decode ? 0 : t);
      sequences.push_back(is_decode ? t : 0);
      if (is_decode || t == n_tokens - 1) first.push_back(t + 1);
    }
    return {.n_tokens = n_tokens,
            .n_sequences = n_sequences,
            .positions = Upload(positions),
            .token_sequence = Upload(sequences),
            .first_token = Upload(first),
            .block_tables = Zeros<int32_t>(static_cast<uint64_t>(n_sequences) * 2),
            .max_blocks = 2};
  }
  KvLayerView Cache(KvDType dtype, int head_dim) {
    const uint64_t bytes = KvBytes(dtype, static_cast<uint64_t>(2 * 64 * head_dim));
    return {.keys = Zeros<std::byte>(bytes),
            .values = Zeros<std::byte>(bytes),
            .dtype = dtype,
            .n_blocks = 2,
            .block_tokens = 64,
            .n_kv_heads = 1,
            .head_dim = head_dim,
            .value_dim = head_dim};
  }
  Kernels Attend(KvDType dtype, int head_dim, int n_tokens, bool is_decode = false) {
    const auto n = static_cast<uint64_t>(n_tokens * 2 * head_dim);
    const uint64_t bytes = device_->AttentionWorkspaceBytes(n_tokens, 2, head_dim);
    return Launched([&] {
      return device_->ops().attention({.batch = Batch(n_tokens, is_decode),
                                       .cache = Cache(dtype, head_dim),
                                       .q = Zeros(n),
                                       .y = Zeros(n),
                                       .n_heads = 2,
                                       .scale = 1.0f,
                                       .workspace = {Zeros<std::byte>(bytes), bytes}},
                                      *stream_);
    });
  }
  Kernels Multiply(const MatmulArgs& args) {
    return Launched([&] { return device_->ops().matmul(args, *stream_); });
  }
  Kernels Multiply(const ExpertMatmulArgs& args) {
    return Launched([&] { return device_->ops().expert_matmul(args, *stream_); });
  }
  template <typename Op>
  Kernels Launched(Op op) {
    Kernels before;
    for (const char* name : kKernels) before[name] = emulator::Calls(name);
    const uint64_t all_before = emulator::Launches(0);
    const Status status = op();
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(stream_->Synchronize().ok());
    Kernels launched;
    uint64_t n_known = 0;
    for (const char* name : kKernels) {
      const uint64_t n = emulator::Calls(name) - before[name];
      if (n > 0) launched[name] = n;
      n_known += n;
    }
    EXPECT_EQ(emulator::Launches(0) - all_before, n_known)
        << "kernels that this test does not know";
    return launched;
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;

 private:
  const int32_t* Upload(const std::vector<int32_t>& values) {
    auto* const data = Zeros<int32_t>(values.size());
    EXPECT_TRUE(
        device_->CopyIn(data, values.data(), values.size() * sizeof(int32_t), *stream_).ok());
    EXPECT_TRUE(stream_->Synchronize().ok());
    return data;
  }

  std::byte* arena_ = nullptr;
  uint64_t used_ = 0;
};

TEST_F(HipLaunchTest, ANormIsPartOfRoundingTheActivations) {
  Start("gfx1100");
  for (const int n_tokens : {1, 40}) {
    MatmulArgs args = Product(Q4_K::kDType, n_tokens, 3);
    args.norm = Norm(n_tokens);
    const char* const product = n_tokens == 1 ? "matvec" : "batch_matmul";
    EXPECT_EQ(Multiply(args), (Kernels{{"norm_quantize", 1}, {product, 1}})) << n_tokens;
  }
  MatmulArgs floats = Product(F16Format::kDType, 1);
  floats.norm = Norm(1);
  EXPECT_EQ(Multiply(floats), (Kernels{{"rms_norm", 1}, {"matvec", 1}}));
}

TEST_F(HipLaunchTest, AnActivationIsPartOfTheProducts) {
  Start("gfx1100");
  MatmulArgs args = Product(Q6_K::kDType, 8, 2);
  args.activation = Activation::kSilu;
  EXPECT_EQ(Multiply(args), (Kernels{{"quantize", 1}, {"matvec", 1}}));
  ExpertMatmulArgs experts = ExpertProduct(Q4_K::kDType, 4);
  experts.activation = Activation::kSilu;
  EXPECT_EQ(Multiply(experts), (Kernels{{"plan_pairs", 1}, {"quantize", 1}, {"matvec", 1}}));
  // Not of those on the matrix units, nor of two formats.
  args = Product(Q6_K::kDType, 40, 2);
  args.activation = Activation::kSilu;
  EXPECT_EQ(Multiply(args),
            (Kernels{{"quantize", 1}, {"batch_matmul", 1}, {"gated_activation", 1}}));
  args = Product(Q6_K::kDType, 1, 2);
  args.targets[1].weight = Matrix(Q4_K::kDType);
  args.activation = Activation::kSilu;
  EXPECT_EQ(Multiply(args), (Kernels{{"quantize", 1}, {"matvec", 2}, {"gated_activation", 1}}));
}

TEST_F(HipLaunchTest, PairsOfTokenAndExpertAreSortedOnceForBothProducts) {
  Start("gfx90a");  // multiplies F16 without matrix units
  const auto sorts = [this](const ExpertMatmulArgs& args) { return Multiply(args)["plan_pairs"]; };
  ExpertMatmulArgs args = ExpertProduct(Q4_K::kDType, 40);
  EXPECT_EQ(sorts(args), 1u);
  EXPECT_EQ(sorts(args), 1u) << "the experts may be others";
  args.repeats_pairs = true;
  EXPECT_EQ(sorts(args), 0u);
  // Not where the other product's kernel takes tiles of another size.
  ExpertMatmulArgs floats = ExpertProduct(F16Format::kDType, 40);
  floats.experts = args.experts;
  floats.workspace = args.workspace;
  floats.repeats_pairs = true;
  EXPECT_EQ(sorts(floats), 1u);
  EXPECT_EQ(sorts(floats), 0u);
}

TEST_F(HipLaunchTest, ExpertsGoToTheMatrixUnitsFromSixteenPairsForEachOn) {
  Start("gfx1100");
  EXPECT_EQ(Multiply(ExpertProduct(Q4_K::kDType, 31)),
            (Kernels{{"plan_pairs", 1}, {"quantize", 1}, {"matvec", 1}}));
  EXPECT_EQ(Multiply(ExpertProduct(Q4_K::kDType, 32)),
            (Kernels{{"plan_pairs", 1}, {"quantize", 1}, {"batch_matmul", 1}}));
}

TEST_F(HipLaunchTest, HeadNormsRotationAndCacheAreOneKernel) {
  Start("gfx1100");
  for (const int n_tokens : {1, 40}) {
    const auto n = static_cast<uint64_t>(n_tokens * 2 * 64);
    const RopeAppendArgs args = {.batch = Batch(n_tokens),
                                 .cache = Cache(KvDType::kF16, 64),
                                 .queries = Zeros(n),
                                 .keys = Zeros(n),
                                 .values = Zeros(n),
                                 .n_heads = 2,
                                 .query_norm = Zeros(64),
                                 .key_norm = Zeros(64),
                                 .rotation = {.frequencies = Zeros(32), .rotary_dim = 64}};
    EXPECT_EQ(Launched([&] { return device_->ops().rope_append(args, *stream_); }),
              (Kernels{{"rope_append", 1}}));
  }
}

TEST_F(HipLaunchTest, ManyVectorsGoToTheMatrixUnitsThatKeepTheirNumbers) {
  struct Case {
    const char* target;
    DType dtype;
    const char* kernel;
  };
  for (const Case& c :
       {Case{"gfx1100", F16Format::kDType, "batch_matmul"},
        Case{"gfx942:sramecc+:xnack-", F16Format::kDType, "batch_matmul"},
        Case{"gfx90a:sramecc+:xnack-", F16Format::kDType, "matvec"},
        Case{"gfx90a", Bf16Format::kDType, "batch_matmul"},
        Case{"gfx1030", F16Format::kDType, "matvec"}, Case{"gfx1030", Bf16Format::kDType, "matvec"},
        Case{"gfx1199", Bf16Format::kDType, "matvec"},
        Case{"gfx1100", F32Format::kDType, "matvec"}}) {
    Start(c.target);
    EXPECT_EQ(Multiply(Product(c.dtype, 40)), (Kernels{{c.kernel, 1}})) << c.target;
    EXPECT_EQ(Multiply(Product(c.dtype, 32)), (Kernels{{"matvec", 1}})) << c.target;
    ExpertMatmulArgs experts = ExpertProduct(c.dtype, 80);
    EXPECT_EQ(Multiply(experts), (Kernels{{"plan_pairs", 1}, {c.kernel, 1}})) << c.target;
  }
  Start("gfx1030");
  EXPECT_EQ(Multiply(Product(Q8_0::kDType, 40)), (Kernels{{"quantize", 1}, {"batch_matmul", 1}}));
}

TEST_F(HipLaunchTest, AProductOfMoreThreadsThanOneLaunchMayHaveIsRefusedAloneAndInAGroup) {
  Start("gfx1100");
  MatmulArgs args = Product(F32Format::kDType, 1);
  args.n_tokens = 4096;
  args.targets[0].weight.shape.n_rows = int64_t{1} << 22;  // never read
  for (const bool is_grouping : {false, true}) {
    if (is_grouping) stream_->BeginGroup();
    const Status status = device_->ops().matmul(args, *stream_);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("kernel matvec has more threads"));
    if (is_grouping) {
      EXPECT_TRUE(stream_->EndGroup().ok());
    }
  }
}

TEST_F(HipLaunchTest, AttentionOfPromptsGoesToTheMatrixUnitsThatKeepTheirNumbers) {
  const Kernels plain = {{"attention", 1}}, on_units = {{"prompt_attention", 1}};
  Start("gfx1100");
  EXPECT_EQ(Attend(KvDType::kF16, 64, 40), on_units);
  EXPECT_EQ(Attend(KvDType::kF16, 256, 40), on_units);
  EXPECT_EQ(Attend(KvDType::kBf16, 128, 40), on_units);
  EXPECT_EQ(Attend(KvDType::kBf16, 256, 40), plain);
  EXPECT_EQ(Attend(KvDType::kF16, 24, 40), plain);
  EXPECT_EQ(Attend(KvDType::kF32, 64, 40), plain);
  EXPECT_EQ(Attend(KvDType::kQ8_0, 64, 40), plain);
  EXPECT_EQ(Attend(KvDType::kF16, 64, 20), plain) << "too few tokens";
  EXPECT_EQ(Attend(KvDType::kF16, 64, 40, /*is_decode=*/true), plain);
  Start("gfx90a");
  EXPECT_EQ(Attend(KvDType::kF16, 64, 40), plain);
  EXPECT_EQ(Attend(KvDType::kBf16, 64, 40), on_units);
  Start("gfx1030");
  EXPECT_EQ(Attend(KvDType::kF16, 64, 40), plain);
}

}  // namespace
}  // namespace forge::testing
