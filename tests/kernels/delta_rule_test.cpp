#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"
#include "tests/kernels/recurrent_checks.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;
using testing::RecurrentStep;
using testing::SequenceRows;
using testing::StateSlots;
using testing::StepPiece;
using testing::UniformFloats;

struct Shape {
  int n_key_heads = 1;
  int n_value_heads = 2;
  int head_dim = 20;
  bool spreads_key_heads = false;

  int qkv_elements() const { return (2 * n_key_heads + n_value_heads) * head_dim; }
  int value_elements() const { return n_value_heads * head_dim; }
};

// Sequences of random numbers, which go through the op step by step.
class Scene {
 public:
  Scene(const std::vector<int>& lengths, const Shape& shape, uint32_t seed)
      : random_(seed),
        shape_(shape),
        lengths_(lengths),
        alpha_bias_(UniformFloats(shape.n_value_heads, -4.0f, 1.0f, random_)),
        decay_(UniformFloats(shape.n_value_heads, -8.0f, -0.05f, random_)),
        norm_weight_(UniformFloats(shape.head_dim, 0.5f, 1.5f, random_)),
        qkv_(lengths, shape.qkv_elements(), random_),
        gate_(lengths, shape.value_elements(), random_),
        alpha_(lengths, shape.n_value_heads, random_),
        beta_(lengths, shape.n_value_heads, random_),
        y_(lengths, shape.value_elements()),
        slots_(testing::kSceneSlots,
               int64_t{shape.n_value_heads} * shape.head_dim * shape.head_dim) {}

  // Without what differs from step to step.
  DeltaRuleArgs Args() const {
    return {.batch = {},
            .state = {},
            .alpha_bias = alpha_bias_.data(),
            .decay = decay_.data(),
            .norm_weight = norm_weight_.data(),
            .n_key_heads = shape_.n_key_heads,
            .n_value_heads = shape_.n_value_heads,
            .head_dim = shape_.head_dim,
            .spreads_key_heads = shape_.spreads_key_heads,
            .epsilon = 1e-6f};
  }
  // The arrays of `step`, whose tokens are those of `pieces`, into `slots`, and what came out.
  Status Try(OpRig& rig, const std::vector<StepPiece>& pieces, const RecurrentStep& step,
             GuardedArray<float>& y, bool in_place = false) {
    const std::vector<float> qkv = qkv_.Gather(pieces), alpha = alpha_.Gather(pieces);
    const std::vector<float> gate = gate_.Gather(pieces), beta = beta_.Gather(pieces);
    if (in_place) y.Assign(gate);
    DeltaRuleArgs args = Args();
    args.batch = step.batch();
    args.state = slots_.View(step.state());
    args.qkv = qkv.data();
    args.gate = in_place ? y.data() : gate.data();
    args.alpha = alpha.data();
    args.beta = beta.data();
    args.y = y.data();
    return rig.Run(args);
  }
  void Run(OpRig& rig, const std::vector<StepPiece>& pieces, bool in_place = false) {
    GuardedArray<float> y(
        static_cast<size_t>(testing::CountTokens(pieces) * shape_.value_elements()));
    const Status status = Try(rig, pieces, RecurrentStep(pieces), y, in_place);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(slots_.WroteOnly(pieces));
    y_.Scatter(y.data(), pieces);
  }
  void ExpectReference() const {
    for (size_t i = 0; i < lengths_.size(); ++i) {
      const int s = static_cast<int>(i);
      DeltaRuleArgs args = Args();
      args.qkv = qkv_.data(s);
      args.gate = gate_.data(s);
      args.alpha = alpha_.data(s);
      args.beta = beta_.data(s);
      std::vector<double> want(y_.of(s).size());
      ReferenceDeltaRule(args, lengths_[i], want.data());
      EXPECT_TRUE(testing::Near(y_.of(s), want, testing::kDeltaTolerance)) << "sequence " << s;
    }
  }
  SequenceRows& qkv() { return qkv_; }
  SequenceRows& gate() { return gate_; }
  SequenceRows& alpha() { return alpha_; }
  SequenceRows& beta() { return beta_; }
  const SequenceRows& y() const { return y_; }
  StateSlots& slots() { return slots_; }

 private:
  std::mt19937 random_;
  const Shape shape_;
  const std::vector<int> lengths_;
  const std::vector<float> alpha_bias_, decay_, norm_weight_;
  SequenceRows qkv_, gate_, alpha_, beta_, y_;
  StateSlots slots_;
};

class DeltaRuleTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  std::unique_ptr<OpRig> rig_ = GetParam().Create();
};

// A sequence alone, in two steps, then beside others, and single tokens beside more than one.
void CheckShape(OpRig& rig, const Shape& shape) {
  const auto seed =
      static_cast<uint32_t>(shape.head_dim + 1000 * shape.n_key_heads + shape.n_value_heads);
  SCOPED_TRACE("n_key_heads " + std::to_string(shape.n_key_heads) + ", n_value_heads " +
               std::to_string(shape.n_value_heads) + ", head_dim " +
               std::to_string(shape.head_dim) + (shape.spreads_key_heads ? ", spread" : "") +
               ", seed " + std::to_string(seed));
  Scene scene({10, 3, 19}, shape, seed);
  scene.Run(rig, {{.sequence = 0, .first = 0, .n_tokens = 7, .from = -1, .to = 5}});
  scene.Run(rig,
            {{.sequence = 0, .first = 7, .n_tokens = 1, .from = 5, .to = 5},
             {.sequence = 1, .first = 0, .n_tokens = 1, .from = -1, .to = 0},
             {.sequence = 2, .first = 0, .n_tokens = 18, .from = -1, .to = 7}},
            /*in_place=*/true);
  scene.Run(rig, {{.sequence = 2, .first = 18, .n_tokens = 1, .from = 7, .to = 1},
                  {.sequence = 0, .first = 8, .n_tokens = 2, .from = 5, .to = 3},
                  {.sequence = 1, .first = 1, .n_tokens = 2, .from = 0, .to = 0}});
  scene.ExpectReference();
}

TEST_P(DeltaRuleTest, MatchesReferenceForEveryHeadDim) {
  for (const int head_dim : {1, 2, 3, 7, 16, 17, 20, 31, 32, 33, 47, 64, 65, 100, 128})
    CheckShape(*rig_, {.n_key_heads = 1, .n_value_heads = 1, .head_dim = head_dim});
}

TEST_P(DeltaRuleTest, MatchesReferenceForEveryMappingOfKeyHeads) {
  for (int n_key_heads = 1; n_key_heads <= 4; ++n_key_heads)
    for (int factor = 1; factor <= 3; ++factor)
      for (const bool spreads : {false, true})
        CheckShape(*rig_, {n_key_heads, factor * n_key_heads, 16, spreads});
}

auto Maker(const Shape& shape, uint32_t seed) {
  return [=](const std::vector<int>& lengths) { return Scene(lengths, shape, seed); };
}

TEST_P(DeltaRuleTest, GivesTheSameBitsHoweverASequenceIsCut) {
  for (const int head_dim : {33, 128})
    testing::ExpectTheSameBitsHoweverASequenceIsCut(
        *rig_, 39, {1, 2, 5, 16, 17, 38}, Maker({.n_value_heads = 1, .head_dim = head_dim}, 1));
}

TEST_P(DeltaRuleTest, GivesTheSameBitsWhateverSharesTheStepAndOnEveryThreadCount) {
  testing::ExpectTheSameBitsInAnyCompany(
      GetParam(), {9, 1, 20}, Maker({.n_key_heads = 2, .n_value_heads = 4, .head_dim = 20}, 2));
}

TEST_P(DeltaRuleTest, KeepsTheStateAfterAnyToken) {
  testing::ExpectKeptStates(*rig_, 6, Maker({.head_dim = 17}, 3));
}

TEST_P(DeltaRuleTest, LetsTwoSequencesGoOnFromOneState) {
  const Shape shape = {.head_dim = 33};
  Scene scene({8, 8}, shape, 4);
  for (int token = 0; token < 5; ++token) {
    for (int i = 0; i < shape.qkv_elements(); ++i)
      scene.qkv().At(1, token, i) = scene.qkv().At(0, token, i);
    for (int h = 0; h < shape.n_value_heads; ++h) {
      scene.alpha().At(1, token, h) = scene.alpha().At(0, token, h);
      scene.beta().At(1, token, h) = scene.beta().At(0, token, h);
    }
  }
  scene.Run(*rig_, {{.sequence = 0, .n_tokens = 5, .to = 3}});
  scene.Run(*rig_, {{.sequence = 1, .n_tokens = 5, .to = 3}});
  scene.Run(*rig_, {{.sequence = 1, .first = 5, .n_tokens = 3, .from = 3, .to = 6},
                    {.sequence = 0, .first = 5, .n_tokens = 3, .from = 3, .to = 5}});
  scene.ExpectReference();
}

// Heads of zeros, numbers at the ends of exponentials, and a decay that forgets all.
TEST_P(DeltaRuleTest, MatchesReferenceAtTheEndsOfItsFunctions) {
  const Shape shape = {.n_value_heads = 1, .head_dim = 16};
  Scene scene({9}, shape, 5);
  for (int i = 0; i < shape.head_dim; ++i) scene.qkv().At(0, 1, i) = 0.0f;
  for (int i = 0; i < 2 * shape.head_dim; ++i) scene.qkv().At(0, 2, i) = 0.0f;
  scene.alpha().At(0, 3, 0) = 300.0f;
  scene.alpha().At(0, 4, 0) = -300.0f;
  scene.alpha().At(0, 5, 0) = 21.0f;
  scene.beta().At(0, 6, 0) = 300.0f;
  scene.beta().At(0, 7, 0) = -300.0f;
  scene.gate().At(0, 8, 0) = -200.0f;
  scene.gate().At(0, 8, 1) = 200.0f;
  scene.Run(*rig_, {{.n_tokens = 9, .to = 0}});
  scene.ExpectReference();
}

// From the token with such a number on, its head has none that are finite; what its gate makes of
// one is the token's own.
TEST_P(DeltaRuleTest, ShowsNumbersThatAreNotFinite) {
  const Shape shape = {.n_key_heads = 2, .n_value_heads = 2, .head_dim = 20};
  const auto check = [&](auto change, bool lasts) {
    Scene scene({5}, shape, 6);
    change(scene);
    scene.Run(*rig_, {{.n_tokens = 3, .to = 0}});
    scene.Run(*rig_, {{.first = 3, .n_tokens = 2, .from = 0, .to = 0}});
    for (int token = 0; token < 5; ++token)
      for (int head = 0; head < 2; ++head) {
        const auto row = scene.y().of(0).subspan(static_cast<size_t>((token * 2 + head) * 20), 20);
        const bool shows = std::any_of(row.begin(), row.end(), [](float y) { return y != y; });
        EXPECT_EQ(shows, head == 1 && (token == 1 || (lasts && token > 1)))
            << token << ", head " << head;
      }
  };
  check([](Scene& scene) { scene.qkv().At(0, 1, 20 + 3) = NAN; }, false);  // a query
  check([](Scene& scene) { scene.qkv().At(0, 1, 60 + 3) = NAN; }, true);
  check([](Scene& scene) { scene.qkv().At(0, 1, 100 + 3) = NAN; }, true);
  check([](Scene& scene) { scene.qkv().At(0, 1, 60 + 3) = INFINITY; }, true);
  check([](Scene& scene) { scene.qkv().At(0, 1, 100 + 3) = INFINITY; }, true);
  check([](Scene& scene) { scene.gate().At(0, 1, 20 + 3) = NAN; }, false);
  check([](Scene& scene) { scene.alpha().At(0, 1, 1) = NAN; }, true);
  check([](Scene& scene) { scene.beta().At(0, 1, 1) = NAN; }, true);
}

TEST_P(DeltaRuleTest, LetsNoSlotOutOfRangePass) {
  testing::ExpectNoSlotOutOfRangePasses(*rig_, 20, Maker({.n_value_heads = 1, .head_dim = 20}, 7));
}

TEST_P(DeltaRuleTest, RefusesSequencesThatWriteTheSlotOfAnother) {
  if (!rig_->refuses_indices()) return;
  Scene scene({4, 3}, {.head_dim = 8}, 8);
  const std::vector<StepPiece> pieces = {{.sequence = 0, .n_tokens = 4, .to = 1},
                                         {.sequence = 1, .n_tokens = 3, .to = 1}};
  GuardedArray<float> y(112);
  EXPECT_EQ(scene.Try(*rig_, pieces, RecurrentStep(pieces), y).code(),
            StatusCode::kInvalidArgument);
}

TEST_P(DeltaRuleTest, TakesNoTokensAsNoWorkAndRefusesBadArguments) {
  EXPECT_TRUE(rig_->Run(DeltaRuleArgs{}).ok());
  Scene scene({2}, {.n_key_heads = 2, .n_value_heads = 4, .head_dim = 5}, 9);
  const RecurrentStep step({{.n_tokens = 2, .to = 1}});
  std::vector<float> qkv(80), values(40), numbers(8), y(40);
  const auto code_with = [&](auto change) {
    DeltaRuleArgs args = scene.Args();
    args.batch = step.batch();
    args.state = scene.slots().View(step.state());
    args.qkv = qkv.data();
    args.gate = values.data();
    args.alpha = args.beta = numbers.data();
    args.y = y.data();
    change(args);
    return rig_->Run(args).code();
  };
  EXPECT_EQ(code_with([](DeltaRuleArgs&) {}), StatusCode::kOk);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.batch.n_tokens = 0; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.qkv = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.gate = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.alpha = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.beta = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.alpha_bias = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.decay = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.norm_weight = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.head_dim = 0; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.head_dim = 129; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.n_key_heads = 0; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.n_key_heads = 3; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.n_value_heads = 0; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.epsilon = -1.0f; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.epsilon = NAN; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.batch.first_token = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.state.data = nullptr; }), refused);
  EXPECT_EQ(code_with([](DeltaRuleArgs& a) { a.state.slot_stride = 99; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, DeltaRuleTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
