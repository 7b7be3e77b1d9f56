#include <algorithm>
#include <set>

#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class RouteExpertsTest
    : public ::testing::TestWithParam<std::tuple<testing::OpRigKind, ExpertGate, bool>> {
 protected:
  ExpertGate gate() const { return std::get<1>(GetParam()); }
  bool normalize() const { return std::get<2>(GetParam()); }

  // Routes and compares with the reference; returns the chosen experts.
  std::vector<int32_t> Check(const std::vector<float>& logits, int n_experts, int n_used,
                             float scale = 1.0f) {
    const int n_tokens = static_cast<int>(logits.size()) / n_experts;
    const auto n = static_cast<size_t>(n_tokens) * static_cast<size_t>(n_used);
    GuardedArray<int32_t> experts(n);
    GuardedArray<float> weights(n);
    EXPECT_TRUE(rig_->Run(RouteExpertsArgs{.logits = logits.data(),
                                           .n_tokens = n_tokens,
                                           .n_experts = n_experts,
                                           .n_used = n_used,
                                           .gate = gate(),
                                           .normalize = normalize(),
                                           .scale = scale,
                                           .experts = experts.data(),
                                           .weights = weights.data()})
                    .ok());
    std::vector<int32_t> want_experts(n);
    std::vector<double> want_weights(n);
    ReferenceRouteExperts({.logits = logits.data(),
                           .n_tokens = n_tokens,
                           .n_experts = n_experts,
                           .n_used = n_used,
                           .gate = gate(),
                           .normalize = normalize(),
                           .scale = scale},
                          want_experts.data(), want_weights.data());
    const std::vector<int32_t> got(experts.span().begin(), experts.span().end());
    EXPECT_EQ(got, want_experts);
    EXPECT_TRUE(testing::Near(weights.span(), want_weights, testing::kRouteTolerance));
    EXPECT_TRUE(experts.GuardsIntact() && weights.GuardsIntact());
    return got;
  }

  // Routes with a bias, by which an expert that is chosen may change places with one whose key is
  // next to its own; compares with the reference, and returns the chosen experts.
  std::vector<int32_t> CheckBiased(const std::vector<float>& logits,
                                   const std::vector<float>& biases, int n_used, int n_groups = 1,
                                   int n_groups_used = 1) {
    const int n_experts = static_cast<int>(biases.size());
    const int n_tokens = static_cast<int>(logits.size()) / n_experts;
    RouteExpertsArgs args = {.logits = logits.data(),
                             .selection_bias = biases.data(),
                             .n_tokens = n_tokens,
                             .n_experts = n_experts,
                             .n_used = n_used,
                             .n_groups = n_groups,
                             .n_groups_used = n_groups_used,
                             .gate = gate(),
                             .normalize = normalize(),
                             .scale = 1.5f};
    const auto n = static_cast<size_t>(n_tokens) * static_cast<size_t>(n_used);
    GuardedArray<int32_t> experts(n);
    GuardedArray<float> weights(n);
    args.experts = experts.data();
    args.weights = weights.data();
    EXPECT_TRUE(rig_->Run(args).ok());
    EXPECT_TRUE(experts.GuardsIntact() && weights.GuardsIntact());
    const std::vector<int32_t> got(experts.span().begin(), experts.span().end());
    std::vector<double> want_weights;
    args.n_tokens = 1;
    for (int t = 0; t < n_tokens; ++t) {
      args.logits = logits.data() + t * n_experts;
      const std::span<const int32_t> chosen(got.data() + t * n_used, static_cast<size_t>(n_used));
      EXPECT_LE(GreatestLoss(args, chosen), 1e-6);
      const std::vector<double> wanted = WeightsOf(args, chosen);
      want_weights.insert(want_weights.end(), wanted.begin(), wanted.end());
    }
    EXPECT_TRUE(testing::Near(weights.span(), want_weights, testing::kRouteTolerance));
    return got;
  }

  // By how much the key of a token's k-th expert differs at most from that of the k-th of the
  // reference's choice; experts that are none, or one twice, are a loss of 1000.
  static double GreatestLoss(RouteExpertsArgs token, std::span<const int32_t> chosen) {
    const auto n_experts = static_cast<size_t>(token.n_experts);
    std::vector<int32_t> want(chosen.size()), order(n_experts);
    std::vector<double> weights(n_experts), keys(n_experts);
    ReferenceRouteExperts(token, want.data(), weights.data());
    token.n_used = token.n_experts;
    token.n_groups = token.n_groups_used = 1;
    token.normalize = false;
    token.scale = 1.0f;
    ReferenceRouteExperts(token, order.data(), weights.data());
    for (size_t k = 0; k < n_experts; ++k) {
      const auto expert = static_cast<size_t>(order[k]);
      keys[expert] = weights[k] + double{token.selection_bias[expert]};
    }
    double loss = std::set<int32_t>(chosen.begin(), chosen.end()).size() == chosen.size() ? 0 : 1e3;
    for (size_t k = 0; k < chosen.size(); ++k) {
      if (chosen[k] < 0 || chosen[k] >= token.n_experts) return 1e3;
      loss = std::max(loss, std::abs(keys[static_cast<size_t>(chosen[k])] -
                                     keys[static_cast<size_t>(want[k])]));
    }
    return loss;
  }

  // What the reference weighs exactly these experts by: a bias that outweighs all else names them.
  static std::vector<double> WeightsOf(RouteExpertsArgs token, std::span<const int32_t> chosen) {
    std::vector<float> naming(static_cast<size_t>(token.n_experts));
    for (size_t k = 0; k < chosen.size(); ++k)
      naming.at(static_cast<size_t>(chosen[k])) = 2.0f * static_cast<float>(chosen.size() - k);
    token.selection_bias = naming.data();
    token.n_groups = token.n_groups_used = 1;
    std::vector<int32_t> named(chosen.size());
    std::vector<double> weights(chosen.size());
    ReferenceRouteExperts(token, named.data(), weights.data());
    EXPECT_TRUE(std::ranges::equal(named, chosen));
    return weights;
  }

  std::unique_ptr<OpRig> rig_ = std::get<0>(GetParam()).Create(3);
};

TEST_P(RouteExpertsTest, MatchesReferenceForEveryNumberOfExperts) {
  uint32_t seed = 1;
  for (const int n_experts : {1, 2, 3, 8, 15, 16, 17, 32, 60, 64, 128, 257, 1000}) {
    for (const int n_used : {1, 2, 4, 8, 13}) {
      if (n_used > n_experts) continue;
      for (const int n_tokens : {0, 1, 5, 300}) {
        SCOPED_TRACE("n_experts " + std::to_string(n_experts) + ", n_used " +
                     std::to_string(n_used) + ", n_tokens " + std::to_string(n_tokens) + ", seed " +
                     std::to_string(seed));
        std::mt19937 random(seed++);
        Check(testing::NormalFloats(static_cast<size_t>(n_tokens * n_experts), random, 3.0f),
              n_experts, n_used, seed % 2 == 0 ? 1.0f : 2.5f);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(RouteExpertsTest, ChoosesAllExpertsInOrderOfTheirLogits) {
  EXPECT_EQ(Check({0.0f, 3.0f, -1.0f, 2.0f}, 4, 4), (std::vector<int32_t>{1, 3, 0, 2}));
}

TEST_P(RouteExpertsTest, BreaksTiesTowardsTheLowerIndex) {
  EXPECT_EQ(Check({1.0f, 2.0f, 1.0f, 2.0f, 1.0f, 2.0f}, 6, 5),
            (std::vector<int32_t>{1, 3, 5, 0, 2}));
  EXPECT_EQ(Check(std::vector<float>(40, 0.25f), 40, 3), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(Check({-0.0f, 0.0f}, 2, 1), (std::vector<int32_t>{0}));
}

TEST_P(RouteExpertsTest, StaysExactWhereLogitsAreLarge) {
  Check({1000.0f, 999.0f, -1000.0f, 995.5f}, 4, 3);
  Check({-1000.0f, -1001.0f, -5000.0f}, 3, 2);
}

TEST_P(RouteExpertsTest, ChoosesDifferentValidExpertsWhateverTheLogits) {
  const std::vector<float> odd = {NAN, INFINITY, -INFINITY, NAN, 0.0f, NAN, -INFINITY, INFINITY};
  std::mt19937 random(4);
  for (int round = 0; round < 100; ++round) {
    std::vector<float> logits(9), biases(9);
    for (float& logit : logits) logit = odd[random() % odd.size()];
    for (float& bias : biases) bias = odd[random() % odd.size()];
    const bool has_groups = gate() != ExpertGate::kTopKThenSoftmax && round % 3 == 0;
    const bool has_bias = gate() != ExpertGate::kTopKThenSoftmax && round % 2 == 0;
    std::vector<int32_t> experts(6, -1);
    std::vector<float> weights(6);
    ASSERT_TRUE(rig_->Run(RouteExpertsArgs{.logits = logits.data(),
                                           .selection_bias = has_bias ? biases.data() : nullptr,
                                           .n_tokens = 1,
                                           .n_experts = 9,
                                           .n_used = 6,
                                           .n_groups = has_groups ? 3 : 1,
                                           .n_groups_used = has_groups ? 2 : 1,
                                           .gate = gate(),
                                           .normalize = normalize(),
                                           .experts = experts.data(),
                                           .weights = weights.data()})
                    .ok());
    EXPECT_EQ(std::set<int32_t>(experts.begin(), experts.end()).size(), 6u);
    EXPECT_GE(*std::min_element(experts.begin(), experts.end()), 0);
    EXPECT_LT(*std::max_element(experts.begin(), experts.end()), 9);
  }
}

TEST_P(RouteExpertsTest, GivesATokenTheSameBitsInEveryBatch) {
  std::mt19937 random(5);
  constexpr int kTokens = 500, kExperts = 60, kUsed = 4;
  const std::vector<float> logits = testing::NormalFloats(kTokens * kExperts, random);
  const auto run = [&](int first, int n_tokens) {
    std::vector<int32_t> experts(static_cast<size_t>(n_tokens * kUsed));
    std::vector<float> weights(experts.size());
    EXPECT_TRUE(rig_->Run(RouteExpertsArgs{.logits = logits.data() + first * kExperts,
                                           .n_tokens = n_tokens,
                                           .n_experts = kExperts,
                                           .n_used = kUsed,
                                           .gate = gate(),
                                           .normalize = normalize(),
                                           .experts = experts.data(),
                                           .weights = weights.data()})
                    .ok());
    return weights;
  };
  const std::vector<float> together = run(0, kTokens);
  for (int t = 0; t < kTokens; t += 17) {
    const std::vector<float> alone = run(t, 1);
    ASSERT_EQ(std::memcmp(alone.data(), together.data() + t * kUsed, sizeof(float) * kUsed), 0);
  }
}

TEST_P(RouteExpertsTest, ChoosesByTheBiasAndWeighsWithoutIt) {
  if (gate() == ExpertGate::kTopKThenSoftmax) return;  // takes no bias
  uint32_t seed = 1;
  for (const int n_experts : {1, 2, 8, 17, 64, 128, 257, 1000}) {
    for (const int n_used : {1, 2, 8, 13}) {
      if (n_used > n_experts) continue;
      SCOPED_TRACE("n_experts " + std::to_string(n_experts) + ", n_used " + std::to_string(n_used) +
                   ", seed " + std::to_string(seed));
      std::mt19937 random(seed++);
      constexpr int kTokens = 30;
      const std::vector<float> logits =
          testing::NormalFloats(static_cast<size_t>(kTokens * n_experts), random, 3.0f);
      const std::vector<float> biases =
          testing::NormalFloats(static_cast<size_t>(n_experts), random, 0.2f);
      CheckBiased(logits, biases, n_used);
      if (HasFailure()) return;
    }
  }
}

TEST_P(RouteExpertsTest, ABiasTurnsTheChoice) {
  if (gate() == ExpertGate::kTopKThenSoftmax) return;  // takes no bias
  const std::vector<float> logits = {2.0f, 1.0f, 0.0f, -1.0f};
  EXPECT_EQ(CheckBiased(logits, {0.0f, 0.0f, 0.0f, 0.0f}, 2), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(CheckBiased(logits, {-2.0f, 0.0f, 0.0f, 3.0f}, 2), (std::vector<int32_t>{3, 1}));
  // Of equal keys and of none, the lower index.
  EXPECT_EQ(CheckBiased(std::vector<float>(300, 0.5f), std::vector<float>(300, 0.25f), 3),
            (std::vector<int32_t>{0, 1, 2}));
}

TEST_P(RouteExpertsTest, ChoosesFromTheBestGroupsOnly) {
  if (gate() == ExpertGate::kTopKThenSoftmax) return;  // takes no groups
  uint32_t seed = 1;
  for (const auto& [n_experts, n_groups, n_groups_used, n_used] :
       {std::tuple(4, 2, 1, 2), std::tuple(6, 3, 2, 3), std::tuple(64, 8, 4, 6),
        std::tuple(256, 8, 4, 8), std::tuple(320, 32, 3, 13), std::tuple(600, 4, 4, 8)}) {
    SCOPED_TRACE("n_experts " + std::to_string(n_experts) + ", n_groups " +
                 std::to_string(n_groups) + ", seed " + std::to_string(seed));
    std::mt19937 random(seed++);
    const std::vector<float> logits =
        testing::NormalFloats(static_cast<size_t>(40 * n_experts), random, 3.0f);
    const std::vector<float> biases =
        testing::NormalFloats(static_cast<size_t>(n_experts), random, 0.2f);
    CheckBiased(logits, biases, n_used, n_groups, n_groups_used);
    if (HasFailure()) return;
  }
  // The greatest is in the second group, whose two together are less than the first's.
  const std::vector<float> logits = {1.0f, 1.0f, 1.5f, -9.0f}, none(4);
  EXPECT_EQ(CheckBiased(logits, none, 2, 2, 1), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(CheckBiased(logits, none, 2, 1, 1), (std::vector<int32_t>{2, 0}));
}

TEST_P(RouteExpertsTest, SigmoidsNextToNothingAreWeighedWithoutDivisionByNothing) {
  if (gate() != ExpertGate::kSigmoid) return;  // a softmax adds up to one
  Check({-60.0f, -70.0f, -50.0f}, 3, 2);
  Check({-1000.0f, -2000.0f, -INFINITY}, 3, 3);
}

TEST_P(RouteExpertsTest, ScalesTheWeightsOfEachExpertByItsOwn) {
  std::mt19937 random(6);
  constexpr int kTokens = 40, kExperts = 70, kUsed = 6;
  const std::vector<float> logits = testing::NormalFloats(kTokens * kExperts, random, 3.0f);
  const std::vector<float> biases = testing::NormalFloats(kExperts, random, 0.2f);
  const std::vector<float> scales = testing::NormalFloats(kExperts, random);
  for (const bool has_bias : {false, true}) {
    if (has_bias && gate() == ExpertGate::kTopKThenSoftmax) continue;  // takes no bias
    std::vector<int32_t> experts(kTokens * kUsed);
    std::vector<float> weights(experts.size());
    RouteExpertsArgs args = {.logits = logits.data(),
                             .selection_bias = has_bias ? biases.data() : nullptr,
                             .n_tokens = kTokens,
                             .n_experts = kExperts,
                             .n_used = kUsed,
                             .gate = gate(),
                             .normalize = normalize(),
                             .scale = 1.5f,
                             .experts = experts.data(),
                             .weights = weights.data()};
    ASSERT_TRUE(rig_->Run(args).ok());
    const std::vector<int32_t> chosen = experts;
    std::vector<float> want = weights;
    for (size_t i = 0; i < want.size(); ++i) want[i] *= scales[static_cast<size_t>(chosen[i])];
    args.expert_scales = scales.data();
    ASSERT_TRUE(rig_->Run(args).ok());
    EXPECT_EQ(experts, chosen);
    EXPECT_EQ(weights, want);
    if (has_bias) continue;  // which may turn a close choice
    std::vector<double> reference(want.size());
    ReferenceRouteExperts(args, experts.data(), reference.data());
    EXPECT_TRUE(testing::Near(weights, reference, testing::kRouteTolerance));
  }
}

TEST_P(RouteExpertsTest, RefusesBadArguments) {
  float logits[4] = {}, weights[4] = {};
  int32_t experts[4] = {};
  const auto code_with = [&](auto change) {
    RouteExpertsArgs args = {.logits = logits,
                             .n_tokens = 1,
                             .n_experts = 4,
                             .n_used = 2,
                             .gate = gate(),
                             .normalize = normalize(),
                             .experts = experts,
                             .weights = weights};
    change(args);
    return rig_->Run(args).code();
  };
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.logits = nullptr; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.experts = nullptr; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.weights = nullptr; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.n_tokens = -1; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.n_experts = 0; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.n_used = 0; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.n_used = 5; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.scale = NAN; }), refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.gate = static_cast<ExpertGate>(7); }), refused);
  EXPECT_EQ(code_with([&](RouteExpertsArgs& a) {
              a.gate = ExpertGate::kTopKThenSoftmax;
              a.selection_bias = logits;
            }),
            refused);
  const auto code_with_groups = [&](int n_experts, int n_groups, int n_groups_used) {
    return code_with([&](RouteExpertsArgs& a) {
      a.gate = ExpertGate::kSigmoid;
      a.n_experts = n_experts;
      a.n_groups = n_groups;
      a.n_groups_used = n_groups_used;
    });
  };
  EXPECT_EQ(code_with_groups(4, 2, 1), StatusCode::kOk);
  EXPECT_EQ(code_with_groups(4, 0, 0), refused);
  EXPECT_EQ(code_with_groups(4, 2, 0), refused);
  EXPECT_EQ(code_with_groups(4, 2, 3), refused);
  EXPECT_EQ(code_with_groups(4, 3, 2), refused);     // not of one size
  EXPECT_EQ(code_with_groups(4, 4, 4), refused);     // of one expert each
  EXPECT_EQ(code_with_groups(66, 33, 33), refused);  // too many
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) {
              a.gate = ExpertGate::kSigmoid;
              a.n_groups = 2;
              a.n_used = 3;
            }),
            refused);  // more than the groups have
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) {
              a.gate = ExpertGate::kTopKThenSoftmax;
              a.n_groups = 2;
            }),
            refused);
  EXPECT_EQ(code_with([](RouteExpertsArgs& a) { a.n_tokens = 0; }), StatusCode::kOk);
}

std::string NameOf(ExpertGate gate, bool normalize) {
  const std::string name = gate == ExpertGate::kSoftmaxThenTopK   ? "SoftmaxThenTopK"
                           : gate == ExpertGate::kTopKThenSoftmax ? "TopKThenSoftmax"
                                                                  : "Sigmoid";
  return name + (normalize ? "Normalized" : "");
}

INSTANTIATE_TEST_SUITE_P(Devices, RouteExpertsTest,
                         ::testing::Combine(::testing::ValuesIn(testing::OpRigKinds()),
                                            ::testing::Values(ExpertGate::kSoftmaxThenTopK,
                                                              ExpertGate::kTopKThenSoftmax,
                                                              ExpertGate::kSigmoid),
                                            ::testing::Bool()),
                         [](const auto& test) {
                           return std::get<0>(test.param).name +
                                  NameOf(std::get<1>(test.param), std::get<2>(test.param));
                         });

}  // namespace
}  // namespace forge
