// What products do besides multiplying: the norm before them, and the activation of gate and up.
// Both are compared with the plain products, which matmul_test.cpp and expert_matmul_test.cpp
// compare with the reference.

#include <optional>
#include <tuple>
#include <utility>

#include "kernels/formats/formats.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"
#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;
using testing::OpRig;
using testing::PackedMatrix;

constexpr int kExperts = 3;

// A norm, as arrays of the host.
struct HostNorm {
  std::vector<float> weight;
  std::vector<float> scratch;
  float epsilon;
  bool is_centred = false;
  std::vector<float> bias = {};  // of a centred one
};

std::vector<std::vector<float>> Multiply(OpRig& rig, const std::vector<MatmulTarget>& targets,
                                         const std::vector<float>& x, int n_tokens,
                                         HostNorm* norm = nullptr,
                                         std::optional<Activation> activation = std::nullopt,
                                         int n_prompt_tokens = 0) {
  const int64_t n_in = targets[0].weight.shape.n_cols;
  GuardedBytes workspace(rig.MatmulWorkspaceBytes(n_tokens, n_in));
  MatmulArgs args;
  args.x = x.data();
  args.n_tokens = n_tokens;
  args.n_prompt_tokens = n_prompt_tokens;
  if (norm != nullptr)
    args.norm = {norm->weight.data(), norm->epsilon, norm->scratch.data(), norm->is_centred,
                 norm->is_centred ? norm->bias.data() : nullptr};
  args.n_targets = static_cast<int>(targets.size());
  args.activation = activation;
  args.workspace = {workspace.data(), workspace.size()};
  std::vector<std::vector<float>> y;
  for (const MatmulTarget& target : targets)
    y.emplace_back(static_cast<size_t>(n_tokens * target.weight.shape.n_rows));
  for (size_t i = 0; i < targets.size(); ++i) {
    args.targets[i] = targets[i];
    args.targets[i].y = y[i].data();
  }
  const Status status = rig.Run(args);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(workspace.IsIntact());
  return y;
}

// Of two matrices that stand for kExperts each: expert e's is the same for all e.
class SameExperts {
 public:
  SameExperts(OpRig& rig, const WeightShape& shape, std::mt19937& random)
      : plain_(rig, shape, random),
        stride_(rig.PackedWeightBytes(shape).value() / 64 * 64 + 64),
        packed_(kExperts * stride_) {
    for (uint64_t e = 0; e < kExperts; ++e)
      EXPECT_TRUE(
          rig.PackRows(shape, plain_.file_rows().data(), packed_.data() + e * stride_).ok());
  }
  WeightView plain() { return plain_.view(); }
  ExpertWeights view() { return {{packed_.data(), plain_.shape()}, stride_, kExperts}; }

 private:
  PackedMatrix plain_;
  uint64_t stride_;
  GuardedBytes packed_;
};

// Of gate and up, or of a gate that is alone.
std::vector<float> ActivateExperts(OpRig& rig, Activation activation, SameExperts& gate,
                                   SameExperts* up, const float* gate_bias, const float* up_bias,
                                   const std::vector<float>& x, int n_tokens) {
  const WeightShape shape = gate.view().first.shape;
  GuardedBytes workspace(rig.ExpertMatmulWorkspaceBytes(n_tokens, shape.n_cols, kExperts));
  std::vector<int32_t> experts;
  for (int t = 0; t < n_tokens; ++t) experts.push_back(t * 2 % kExperts);
  std::vector<float> y(static_cast<size_t>(n_tokens * shape.n_rows)), up_y(y.size());
  std::vector<float> biases[2];
  for (int e = 0; e < kExperts; ++e) {
    biases[0].insert(biases[0].end(), gate_bias, gate_bias + shape.n_rows);
    biases[1].insert(biases[1].end(), up_bias, up_bias + shape.n_rows);
  }
  ExpertMatmulArgs args;
  args.x = x.data();
  args.n_x_rows = n_tokens;
  args.pairs_per_row = 1;
  args.experts = experts.data();
  args.n_targets = up != nullptr ? 2 : 1;
  args.targets[0] = {gate.view(), biases[0].data(), y.data()};
  if (up != nullptr) args.targets[1] = {up->view(), biases[1].data(), up_y.data()};
  args.activation = activation;
  args.workspace = {workspace.data(), workspace.size()};
  const Status status = rig.Run(args);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(workspace.IsIntact());
  return y;
}

// Gate and up where some tokens are of a prompt, beside the plain products of the same.
void ExpectActivatesPrompts(OpRig& rig, const std::vector<MatmulTarget>& targets,
                            const std::vector<float>& x, int n_tokens, Activation activation) {
  const int n_prompt_tokens = (n_tokens + 1) / 2;
  const auto products = Multiply(rig, targets, x, n_tokens, nullptr, std::nullopt, n_prompt_tokens);
  std::vector<double> want(products[0].size());
  ReferenceGatedActivation(activation, products[0].data(), products[1].data(), want.data(),
                           static_cast<int64_t>(want.size()));
  const auto y = Multiply(rig, targets, x, n_tokens, nullptr, activation, n_prompt_tokens);
  EXPECT_TRUE(testing::Near(y[0], want, testing::kSwigluTolerance));
}

class FusedMatmulTest
    : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, FormatInfo>> {
 protected:
  DType dtype() const { return std::get<FormatInfo>(GetParam()).dtype; }

  std::unique_ptr<OpRig> rig_ = std::get<testing::OpRigKind>(GetParam()).Create(3);
};

TEST_P(FusedMatmulTest, NormalisesAsTheOpOfThatName) {
  constexpr int64_t kCols = 768;
  std::mt19937 random(5);
  PackedMatrix first(*rig_, {dtype(), 33, kCols}, random);
  PackedMatrix second(*rig_, {F16Format::kDType, 5, kCols}, random);
  HostNorm norm = {testing::NormalFloats(kCols, random), {}, 1e-5f};
  norm.bias = testing::NormalFloats(kCols, random);
  for (const auto& [n_tokens, is_centred] : std::vector<std::pair<int, bool>>{{1, false},
                                                                              {1, true},
                                                                              {3, false},
                                                                              {3, true},
                                                                              {22, false},
                                                                              {22, true},
                                                                              {34, false},
                                                                              {34, true}}) {
    norm.is_centred = is_centred;
    const auto n_in = static_cast<size_t>(n_tokens * kCols);
    const std::vector<float> x = testing::NormalFloats(n_in, random, 3.0f);
    std::vector<float> normed(n_in);
    ASSERT_TRUE(rig_->Run(RmsNormArgs{.x = x.data(),
                                      .weight = norm.weight.data(),
                                      .y = normed.data(),
                                      .n_rows = n_tokens,
                                      .dim = kCols,
                                      .epsilon = norm.epsilon,
                                      .is_centred = is_centred,
                                      .bias = is_centred ? norm.bias.data() : nullptr})
                    .ok());
    norm.scratch.assign(n_in, 0.0f);
    // Alone, and beside a matrix that takes its activations as they are.
    for (const size_t n_targets : {1, 2}) {
      const std::vector<MatmulTarget> all = {{.weight = first.view()}, {.weight = second.view()}};
      const std::vector<MatmulTarget> targets(all.begin(),
                                              all.begin() + static_cast<int>(n_targets));
      std::vector<int> prompts = {0};
      if (rig_->runs_on_threads()) prompts.push_back(n_tokens - n_tokens / 3);
      for (const int n_prompt_tokens : prompts)
        EXPECT_EQ(
            Multiply(*rig_, targets, x, n_tokens, &norm, std::nullopt, n_prompt_tokens),
            Multiply(*rig_, targets, normed, n_tokens, nullptr, std::nullopt, n_prompt_tokens))
            << n_tokens << " tokens, " << n_prompt_tokens << " of prompts, " << n_targets
            << " targets, centred " << is_centred;
    }
  }
}

TEST_P(FusedMatmulTest, ActivatesGateAndUp) {
  constexpr int64_t kCols = 512;
  uint32_t seed = 1;
  for (const DType up_type : {dtype(), Q8_0::kDType, F32Format::kDType}) {
    for (const int64_t n_rows : {1, 17}) {
      for (const int n_tokens : {1, 9, 34}) {
        SCOPED_TRACE("n_rows " + std::to_string(n_rows) + ", n_tokens " + std::to_string(n_tokens) +
                     ", seed " + std::to_string(seed));
        std::mt19937 random(seed);
        const auto activation = static_cast<Activation>(seed++ % kActivations);
        SameExperts gate(*rig_, {dtype(), n_rows, kCols}, random);
        SameExperts up(*rig_, {up_type, n_rows, kCols}, random);
        const auto n_out = static_cast<size_t>(n_rows);
        const std::vector<float> gate_bias = testing::NormalFloats(n_out, random);
        const std::vector<float> up_bias = testing::NormalFloats(n_out, random);
        const std::vector<float> x =
            testing::NormalFloats(static_cast<size_t>(n_tokens * kCols), random, 0.1f);
        const std::vector<MatmulTarget> targets = {
            {.weight = gate.plain(), .bias = gate_bias.data()},
            {.weight = up.plain(), .bias = up_bias.data()}};
        const auto products = Multiply(*rig_, targets, x, n_tokens);
        std::vector<double> want(products[0].size());
        ReferenceGatedActivation(activation, products[0].data(), products[1].data(), want.data(),
                                 static_cast<int64_t>(want.size()));
        const auto y = Multiply(*rig_, targets, x, n_tokens, nullptr, activation);
        ASSERT_TRUE(testing::Near(y[0], want, testing::kSwigluTolerance));
        // Without a gate.
        const std::vector<MatmulTarget> alone(targets.begin(), targets.begin() + 1);
        const std::vector<float> ones(products[0].size(), 1.0f);
        std::vector<double> want_alone(want.size());
        ReferenceGatedActivation(activation, products[0].data(), ones.data(), want_alone.data(),
                                 static_cast<int64_t>(want_alone.size()));
        const auto ungated = Multiply(*rig_, alone, x, n_tokens, nullptr, activation);
        ASSERT_TRUE(testing::Near(ungated[0], want_alone, testing::kSwigluTolerance));
        if (rig_->runs_on_threads())
          ExpectActivatesPrompts(*rig_, targets, x, n_tokens, activation);
        // Of experts, where a token's bits may depend on how many share its own.
        for (const bool is_alone : {false, true}) {
          const std::vector<float> of_experts =
              ActivateExperts(*rig_, activation, gate, is_alone ? nullptr : &up, gate_bias.data(),
                              up_bias.data(), x, n_tokens);
          if (n_tokens <= rig_->max_equal_tokens()) {
            ASSERT_EQ(of_experts, is_alone ? ungated[0] : y[0]);
          } else {
            ASSERT_TRUE(testing::Near(of_experts, is_alone ? want_alone : want,
                                      {.relative = 1e-3, .absolute = 1e-3}));
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryDeviceAndFormat, FusedMatmulTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::ValuesIn(KnownFormats())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" +
                                  std::string(std::get<1>(test.param).name);
                         });

// --- What is refused

class FusedMatmulArgsTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  std::mt19937 random_{9};
  std::unique_ptr<OpRig> rig_ = GetParam().Create();
  PackedMatrix matrix_{*rig_, {Q8_0::kDType, 20, 64}, random_};
  PackedMatrix other_{*rig_, {Q8_0::kDType, 21, 64}, random_};
  std::vector<float> x_ = std::vector<float>(64, 1.0f), norm_ = x_, y_ = std::vector<float>(63);
};

TEST_P(FusedMatmulArgsTest, RefusesBadArguments) {
  GuardedBytes workspace(rig_->MatmulWorkspaceBytes(1, 64));
  const auto code_with = [&](auto change) {
    MatmulArgs args;
    args.x = x_.data();
    args.n_tokens = 1;
    std::vector<float> scratch(64);
    args.norm = {.weight = norm_.data(), .epsilon = 1e-5f, .scratch = scratch.data()};
    args.n_targets = 2;
    args.targets[0] = {.weight = matrix_.view(), .y = y_.data()};
    args.targets[1] = {.weight = matrix_.view(), .y = y_.data() + 21};
    args.targets[2] = {.weight = matrix_.view(), .y = y_.data() + 42};
    args.activation = Activation::kSilu;
    args.workspace = {workspace.data(), workspace.size()};
    change(args);
    return rig_->Run(args).code();
  };
  EXPECT_EQ(code_with([](MatmulArgs&) {}), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.norm.scratch = nullptr; }), refused);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.norm.epsilon = -1.0f; }), refused);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.norm.epsilon = NAN; }), refused);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.norm.bias = a.norm.weight; }), refused);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.n_targets = 1; }), StatusCode::kOk);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.n_targets = 0; }), refused);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.n_targets = 3; }), refused);
  EXPECT_EQ(code_with([&](MatmulArgs& a) { a.targets[1].weight = other_.view(); }), refused);
  EXPECT_EQ(code_with([&](MatmulArgs& a) { a.targets[0].residual = x_.data(); }), refused);
  EXPECT_EQ(code_with([&](MatmulArgs& a) { a.targets[1].residual = x_.data(); }), refused);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.activation = static_cast<Activation>(kActivations); }),
            refused);
  EXPECT_EQ(code_with([](MatmulArgs& a) { a.activation = static_cast<Activation>(-1); }), refused);
}

TEST_P(FusedMatmulArgsTest, RefusesBadArgumentsOfExperts) {
  const int32_t experts[1] = {0};
  const uint64_t stride = rig_->PackedWeightBytes(matrix_.shape()).value() / 64 * 64 + 64;
  GuardedBytes workspace(rig_->ExpertMatmulWorkspaceBytes(1, 64, 1));
  const auto code_with = [&](auto change) {
    ExpertMatmulArgs args;
    args.x = x_.data();
    args.n_x_rows = 1;
    args.pairs_per_row = 1;
    args.experts = experts;
    args.n_targets = 2;
    args.targets[0] = {{matrix_.view(), stride, 1}, nullptr, y_.data()};
    args.targets[1] = {{matrix_.view(), stride, 1}, nullptr, y_.data() + 21};
    args.activation = Activation::kSilu;
    args.workspace = {workspace.data(), workspace.size()};
    change(args);
    return rig_->Run(args).code();
  };
  EXPECT_EQ(code_with([](ExpertMatmulArgs&) {}), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](ExpertMatmulArgs& a) { a.n_targets = 1; }), StatusCode::kOk);
  EXPECT_EQ(code_with([&](ExpertMatmulArgs& a) { a.targets[1].weights.first = other_.view(); }),
            refused);
  EXPECT_EQ(
      code_with([](ExpertMatmulArgs& a) { a.activation = static_cast<Activation>(kActivations); }),
      refused);
}

// As without an activation: a device that cannot look at the indices gives NaN to these pairs only,
// one that can refuses them.
TEST_P(FusedMatmulArgsTest, ActivatesNothingWhereThereIsNoSuchExpert) {
  const uint64_t stride = rig_->PackedWeightBytes(matrix_.shape()).value() / 64 * 64 + 64;
  for (const int n_rows : {2, 40}) {  // of few pairs, and of so many that the activation is apart
    for (int kind = 0; kind < 2 * kActivations; ++kind) {
      const auto n_pairs = static_cast<size_t>(n_rows);
      const std::vector<float> x(n_pairs * 64, 1.0f);
      std::vector<int32_t> experts(n_pairs, 0);
      experts[1] = 1 << 20;
      std::vector<float> y(n_pairs * 20), up(n_pairs * 20);
      GuardedBytes workspace(rig_->ExpertMatmulWorkspaceBytes(n_rows, 64, 1));
      ExpertMatmulArgs args;
      args.x = x.data();
      args.n_x_rows = n_rows;
      args.pairs_per_row = 1;
      args.experts = experts.data();
      args.n_targets = 1 + kind / kActivations;
      args.targets[0] = {{matrix_.view(), stride, 1}, nullptr, y.data()};
      args.targets[1] = {{matrix_.view(), stride, 1}, nullptr, up.data()};
      args.activation = static_cast<Activation>(kind % kActivations);
      args.workspace = {workspace.data(), workspace.size()};
      const StatusCode code = rig_->Run(args).code();
      if (rig_->refuses_indices()) {
        EXPECT_EQ(code, StatusCode::kInvalidArgument);
        EXPECT_EQ(y, std::vector<float>(y.size()));
        continue;
      }
      ASSERT_EQ(code, StatusCode::kOk);
      for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 20 == 1) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, FusedMatmulArgsTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
