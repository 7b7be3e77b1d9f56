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
  int n_heads = 2;
  int n_groups = 1;
  int head_dim = 20;
  int state_dim = 24;

  int xbc_elements() const { return n_heads * head_dim + 2 * n_groups * state_dim; }
  int y_elements() const { return n_heads * head_dim; }
};

// Sequences of random numbers, which go through the op step by step.
class Scene {
 public:
  Scene(const std::vector<int>& lengths, const Shape& shape, uint32_t seed)
      : random_(seed),
        shape_(shape),
        lengths_(lengths),
        step_bias_(UniformFloats(shape.n_heads, -4.0f, 1.0f, random_)),
        decay_(UniformFloats(shape.n_heads, -8.0f, -0.05f, random_)),
        skip_(UniformFloats(shape.n_heads, -1.0f, 1.0f, random_)),
        xbc_(lengths, shape.xbc_elements(), random_),
        gate_(lengths, shape.y_elements(), random_),
        step_(lengths, shape.n_heads, random_),
        y_(lengths, shape.y_elements()),
        slots_(testing::kSceneSlots, int64_t{shape.n_heads} * shape.state_dim * shape.head_dim) {}

  // Without what differs from step to step.
  StateSpaceArgs Args() const {
    return {.batch = {},
            .state = {},
            .step_bias = step_bias_.data(),
            .decay = decay_.data(),
            .skip = skip_.data(),
            .n_heads = shape_.n_heads,
            .n_groups = shape_.n_groups,
            .head_dim = shape_.head_dim,
            .state_dim = shape_.state_dim};
  }
  // The arrays of `step`, whose tokens are those of `pieces`, and what came out.
  Status Try(OpRig& rig, const std::vector<StepPiece>& pieces, const RecurrentStep& step,
             GuardedArray<float>& y, bool in_place = false) {
    const std::vector<float> xbc = xbc_.Gather(pieces), gate = gate_.Gather(pieces),
                             steps = step_.Gather(pieces);
    if (in_place) y.Assign(gate);
    StateSpaceArgs args = Args();
    args.batch = step.batch();
    args.state = slots_.View(step.state());
    args.xbc = xbc.data();
    args.gate = in_place ? y.data() : gate.data();
    args.step = steps.data();
    args.y = y.data();
    return rig.Run(args);
  }
  void Run(OpRig& rig, const std::vector<StepPiece>& pieces, bool in_place = false) {
    GuardedArray<float> y(static_cast<size_t>(testing::CountTokens(pieces) * shape_.y_elements()));
    const Status status = Try(rig, pieces, RecurrentStep(pieces), y, in_place);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(slots_.WroteOnly(pieces));
    y_.Scatter(y.data(), pieces);
  }
  void ExpectReference() const {
    for (size_t i = 0; i < lengths_.size(); ++i) {
      const int s = static_cast<int>(i);
      StateSpaceArgs args = Args();
      args.xbc = xbc_.data(s);
      args.gate = gate_.data(s);
      args.step = step_.data(s);
      std::vector<double> want(y_.of(s).size());
      ReferenceStateSpace(args, lengths_[i], want.data());
      EXPECT_TRUE(testing::Near(y_.of(s), want, testing::kStateSpaceTolerance)) << "sequence " << s;
    }
  }
  SequenceRows& xbc() { return xbc_; }
  SequenceRows& gate() { return gate_; }
  SequenceRows& step() { return step_; }
  const SequenceRows& y() const { return y_; }
  StateSlots& slots() { return slots_; }

 private:
  std::mt19937 random_;
  const Shape shape_;
  const std::vector<int> lengths_;
  const std::vector<float> step_bias_, decay_, skip_;
  SequenceRows xbc_, gate_, step_, y_;
  StateSlots slots_;
};

auto Maker(const Shape& shape, uint32_t seed) {
  return [=](const std::vector<int>& lengths) { return Scene(lengths, shape, seed); };
}

class StateSpaceTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  std::unique_ptr<OpRig> rig_ = GetParam().Create();
};

// A sequence alone, in two steps, then beside others, and single tokens beside more than one.
void CheckShape(OpRig& rig, const Shape& shape) {
  const auto seed = static_cast<uint32_t>(shape.head_dim + 1000 * shape.state_dim + shape.n_heads);
  SCOPED_TRACE("n_heads " + std::to_string(shape.n_heads) + ", n_groups " +
               std::to_string(shape.n_groups) + ", head_dim " + std::to_string(shape.head_dim) +
               ", state_dim " + std::to_string(shape.state_dim) + ", seed " + std::to_string(seed));
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

TEST_P(StateSpaceTest, MatchesReferenceForEveryHeadDim) {
  for (const int head_dim : {1, 3, 16, 17, 31, 32, 33, 64, 65, 128})
    CheckShape(*rig_, {.n_heads = 1, .head_dim = head_dim, .state_dim = 16});
}

TEST_P(StateSpaceTest, MatchesReferenceForEveryStateDim) {
  for (const int state_dim : {1, 2, 3, 16, 33, 64, 127, 128, 129, 256})
    CheckShape(*rig_, {.n_heads = 1, .head_dim = 20, .state_dim = state_dim});
}

TEST_P(StateSpaceTest, MatchesReferenceForEveryNumberOfGroups) {
  for (int n_groups = 1; n_groups <= 3; ++n_groups)
    for (int factor = 1; factor <= 3; ++factor)
      CheckShape(*rig_, {factor * n_groups, n_groups, 16, 12});
}

TEST_P(StateSpaceTest, GivesTheSameBitsHoweverASequenceIsCut) {
  for (const int state_dim : {33, 128})
    testing::ExpectTheSameBitsHoweverASequenceIsCut(
        *rig_, 39, {1, 2, 5, 16, 17, 38},
        Maker({.n_heads = 1, .head_dim = 40, .state_dim = state_dim}, 1));
}

TEST_P(StateSpaceTest, GivesTheSameBitsWhateverSharesTheStepAndOnEveryThreadCount) {
  testing::ExpectTheSameBitsInAnyCompany(GetParam(), {9, 1, 20},
                                         Maker({.n_heads = 4, .n_groups = 2}, 2));
}

TEST_P(StateSpaceTest, KeepsTheStateAfterAnyToken) {
  testing::ExpectKeptStates(*rig_, 6, Maker({.head_dim = 17}, 3));
}

// A step that forgets all and one that changes nothing, and gates at the ends of their function.
TEST_P(StateSpaceTest, MatchesReferenceAtTheEndsOfItsFunctions) {
  Scene scene({6}, {.n_heads = 1, .head_dim = 16}, 5);
  scene.step().At(0, 1, 0) = 300.0f;
  scene.step().At(0, 2, 0) = -300.0f;
  scene.step().At(0, 3, 0) = 21.0f;
  scene.gate().At(0, 4, 0) = -200.0f;
  scene.gate().At(0, 4, 1) = 200.0f;
  scene.Run(*rig_, {{.n_tokens = 6, .to = 0}});
  scene.ExpectReference();
}

// A number of the state lasts, one of C or of the gate is the token's own.
TEST_P(StateSpaceTest, ShowsNumbersThatAreNotFinite) {
  const Shape shape = {.n_heads = 2, .n_groups = 2, .head_dim = 20, .state_dim = 8};
  const auto check = [&](auto change, bool lasts) {
    Scene scene({5}, shape, 6);
    change(scene);
    scene.Run(*rig_, {{.n_tokens = 3, .to = 0}});
    scene.Run(*rig_, {{.first = 3, .n_tokens = 2, .from = 0, .to = 0}});
    for (int token = 0; token < 5; ++token)
      for (int head = 0; head < 2; ++head) {
        const auto row = scene.y().of(0).subspan(static_cast<size_t>((token * 2 + head) * 20), 20);
        const bool shows =
            std::any_of(row.begin(), row.end(), [](float y) { return !std::isfinite(y); });
        EXPECT_EQ(shows, head == 1 && (token == 1 || (lasts && token > 1)))
            << token << ", head " << head;
      }
  };
  check([](Scene& scene) { scene.xbc().At(0, 1, 20 + 3) = NAN; }, true);      // x
  check([](Scene& scene) { scene.xbc().At(0, 1, 40 + 8 + 3) = NAN; }, true);  // B
  check([](Scene& scene) { scene.xbc().At(0, 1, 40 + 8 + 3) = INFINITY; }, true);
  check([](Scene& scene) { scene.xbc().At(0, 1, 40 + 24 + 3) = NAN; }, false);  // C
  check([](Scene& scene) { scene.gate().At(0, 1, 20 + 3) = NAN; }, false);
  check([](Scene& scene) { scene.step().At(0, 1, 1) = NAN; }, true);
}

TEST_P(StateSpaceTest, LetsNoSlotOutOfRangePass) {
  testing::ExpectNoSlotOutOfRangePasses(*rig_, 20, Maker({.n_heads = 1}, 7));
}

TEST_P(StateSpaceTest, TakesNoTokensAsNoWorkAndRefusesBadArguments) {
  EXPECT_TRUE(rig_->Run(StateSpaceArgs{}).ok());
  Scene scene({2}, {.n_heads = 4, .n_groups = 2, .head_dim = 5, .state_dim = 6}, 9);
  const RecurrentStep step({{.n_tokens = 2, .to = 1}});
  std::vector<float> xbc(88), values(40), numbers(8), y(40);
  const auto code_with = [&](auto change) {
    StateSpaceArgs args = scene.Args();
    args.batch = step.batch();
    args.state = scene.slots().View(step.state());
    args.xbc = xbc.data();
    args.gate = values.data();
    args.step = numbers.data();
    args.y = y.data();
    change(args);
    return rig_->Run(args).code();
  };
  EXPECT_EQ(code_with([](StateSpaceArgs&) {}), StatusCode::kOk);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.batch.n_tokens = 0; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.xbc = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.gate = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.step = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.step_bias = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.decay = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.skip = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.head_dim = 0; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.head_dim = 129; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.state_dim = 0; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.state_dim = 257; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.n_groups = 0; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.n_groups = 3; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.n_heads = 0; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.batch.first_token = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.state.data = nullptr; }), refused);
  EXPECT_EQ(code_with([](StateSpaceArgs& a) { a.state.slot_stride = 119; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, StateSpaceTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
