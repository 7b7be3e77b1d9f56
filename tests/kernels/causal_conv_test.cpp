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

using testing::kSceneSlots;

enum class Form { kPlain, kBiased, kGated };

// Sequences of random numbers, which go through the op step by step.
class Scene {
 public:
  Scene(const std::vector<int>& lengths, int n_channels, int n_taps, uint32_t seed,
        Form form = Form::kPlain)
      : random_(seed),
        form_(form),
        n_channels_(n_channels),
        n_taps_(n_taps),
        lengths_(lengths),
        weight_(testing::NormalFloats(static_cast<size_t>(n_channels * n_taps), random_)),
        bias_(testing::NormalFloats(static_cast<size_t>(n_channels), random_)),
        x_(lengths, n_channels, random_),
        x_gate_(lengths, n_channels, random_),
        y_gate_(lengths, n_channels, random_),
        y_(lengths, n_channels),
        slots_(kSceneSlots, int64_t{n_taps - 1} * n_channels) {}

  CausalConvArgs Args(const RecurrentStep& step) {
    return {.batch = step.batch(),
            .state = slots_.View(step.state()),
            .weight = weight_.data(),
            .bias = form_ == Form::kBiased ? bias_.data() : nullptr,
            .n_channels = n_channels_,
            .n_taps = n_taps_};
  }
  // The arrays of `step`, whose tokens are those of `pieces`.
  Status Try(OpRig& rig, const std::vector<StepPiece>& pieces, const RecurrentStep& step,
             GuardedArray<float>& y) {
    const std::vector<float> x = x_.Gather(pieces), x_gate = x_gate_.Gather(pieces),
                             y_gate = y_gate_.Gather(pieces);
    CausalConvArgs args = Args(step);
    args.x = x.data();
    if (form_ == Form::kGated) args.x_gate = x_gate.data(), args.y_gate = y_gate.data();
    args.y = y.data();
    return rig.Run(args);
  }
  void Run(OpRig& rig, const std::vector<StepPiece>& pieces) {
    GuardedArray<float> y(static_cast<size_t>(testing::CountTokens(pieces) * n_channels_));
    const Status status = Try(rig, pieces, RecurrentStep(pieces), y);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(slots_.WroteOnly(pieces));
    y_.Scatter(y.data(), pieces);
  }
  void ExpectReference() const {
    for (size_t s = 0; s < lengths_.size(); ++s) {
      const int sequence = static_cast<int>(s);
      std::vector<double> want(y_.of(sequence).size());
      const bool is_gated = form_ == Form::kGated;
      ReferenceCausalConv({.batch = {},
                           .state = {},
                           .x = x_.data(sequence),
                           .weight = weight_.data(),
                           .bias = form_ == Form::kBiased ? bias_.data() : nullptr,
                           .x_gate = is_gated ? x_gate_.data(sequence) : nullptr,
                           .y_gate = is_gated ? y_gate_.data(sequence) : nullptr,
                           .n_channels = n_channels_,
                           .n_taps = n_taps_},
                          lengths_[s], want.data());
      EXPECT_TRUE(testing::Near(y_.of(sequence), want, testing::kConvTolerance))
          << "sequence " << s;
    }
  }
  SequenceRows& x() { return x_; }
  const SequenceRows& y() const { return y_; }
  StateSlots& slots() { return slots_; }

 private:
  std::mt19937 random_;
  const Form form_;
  const int n_channels_;
  const int n_taps_;
  const std::vector<int> lengths_;
  const std::vector<float> weight_;
  const std::vector<float> bias_;
  SequenceRows x_;
  const SequenceRows x_gate_, y_gate_;
  SequenceRows y_;
  StateSlots slots_;
};

class CausalConvTest : public ::testing::TestWithParam<testing::OpRigKind> {
 protected:
  std::unique_ptr<OpRig> rig_ = GetParam().Create();
};

// A sequence alone, in two steps, then beside others, and single tokens beside more than one.
TEST_P(CausalConvTest, MatchesReferenceForEveryShape) {
  for (int n_taps = 2; n_taps <= kMaxConvTaps; ++n_taps)
    for (const int n_channels : {1, 3, 16, 20, 127, 255, 256, 257, 600}) {
      const Form form = static_cast<Form>((n_taps + n_channels) % 3);
      const auto seed = static_cast<uint32_t>(n_taps + 100 * n_channels);
      SCOPED_TRACE("n_taps " + std::to_string(n_taps) + ", n_channels " +
                   std::to_string(n_channels) + ", seed " + std::to_string(seed));
      Scene scene({14, 3, 19}, n_channels, n_taps, seed, form);
      scene.Run(*rig_, {{.sequence = 0, .first = 0, .n_tokens = 11, .from = -1, .to = 5}});
      scene.Run(*rig_, {{.sequence = 0, .first = 11, .n_tokens = 1, .from = 5, .to = 5},
                        {.sequence = 1, .first = 0, .n_tokens = 1, .from = -1, .to = 0},
                        {.sequence = 2, .first = 0, .n_tokens = 18, .from = -1, .to = 7}});
      scene.Run(*rig_, {{.sequence = 2, .first = 18, .n_tokens = 1, .from = 7, .to = 1},
                        {.sequence = 0, .first = 12, .n_tokens = 2, .from = 5, .to = 3},
                        {.sequence = 1, .first = 1, .n_tokens = 2, .from = 0, .to = 0}});
      scene.ExpectReference();
    }
}

auto Maker(int n_channels, int n_taps, uint32_t seed, Form form) {
  return [=](const std::vector<int>& lengths) {
    return Scene(lengths, n_channels, n_taps, seed, form);
  };
}

TEST_P(CausalConvTest, GivesTheSameBitsHoweverASequenceIsCut) {
  for (const Form form : {Form::kPlain, Form::kGated})
    testing::ExpectTheSameBitsHoweverASequenceIsCut(*rig_, 23, {1, 2, 3, 5, 22},
                                                    Maker(150, 4, 1, form));
}

TEST_P(CausalConvTest, GivesTheSameBitsWhateverSharesTheStepAndOnEveryThreadCount) {
  testing::ExpectTheSameBitsInAnyCompany(GetParam(), {9, 1, 40}, Maker(1030, 4, 2, Form::kBiased));
}

TEST_P(CausalConvTest, KeepsTheStateAfterAnyToken) {
  for (const Form form : {Form::kPlain, Form::kGated})
    testing::ExpectKeptStates(*rig_, 9, Maker(20, 5, 3, form));
}

TEST_P(CausalConvTest, LetsTwoSequencesGoOnFromOneState) {
  Scene scene({12, 12}, 33, 4, 4);
  for (int token = 0; token < 5; ++token)
    for (int c = 0; c < 33; ++c) scene.x().At(1, token, c) = scene.x().At(0, token, c);
  scene.Run(*rig_, {{.sequence = 0, .n_tokens = 5, .to = 3}});
  scene.Run(*rig_, {{.sequence = 1, .n_tokens = 5, .to = 3}});
  scene.Run(*rig_, {{.sequence = 1, .first = 5, .n_tokens = 7, .from = 3, .to = 6},
                    {.sequence = 0, .first = 5, .n_tokens = 7, .from = 3, .to = 5}});
  scene.ExpectReference();
}

TEST_P(CausalConvTest, ShowsNumbersThatAreNotFiniteAsLongAsTheyAreInTheWindow) {
  for (const float bad : {NAN, INFINITY}) {
    Scene scene({9}, 20, 3, 5);
    scene.x().At(0, 2, 7) = bad;
    scene.Run(*rig_, {{.n_tokens = 4, .to = 0}});
    scene.Run(*rig_, {{.first = 4, .n_tokens = 5, .from = 0, .to = 0}});
    for (int token = 0; token < 9; ++token)
      for (int c = 0; c < 20; ++c) {
        const float y = scene.y().of(0)[static_cast<size_t>(token * 20 + c)];
        const bool may_be_bad = c == 7 && token >= 2 && token <= 4;
        EXPECT_TRUE(std::isfinite(y) || may_be_bad) << token << ", " << c;
        EXPECT_TRUE(std::isnan(y) || !may_be_bad || !std::isnan(bad)) << token << ", " << c;
      }
  }
}

TEST_P(CausalConvTest, LetsNoSlotOutOfRangePass) {
  testing::ExpectNoSlotOutOfRangePasses(*rig_, 20, Maker(20, 4, 6, Form::kPlain));
}

// Which a device that cannot look need not notice.
TEST_P(CausalConvTest, RefusesSequencesThatWriteTheSlotOfAnother) {
  if (!rig_->refuses_indices()) return;
  const auto code_with = [&](auto change) {
    Scene scene({4, 3}, 20, 4, 6);
    const std::vector<StepPiece> pieces = {
        {.sequence = 0, .n_tokens = 4, .from = 1, .to = 1, .kept_after = 2, .kept_to = 2},
        {.sequence = 1, .n_tokens = 3, .from = 4, .to = 3}};
    RecurrentStep step(pieces);
    change(step);
    const std::vector<float> x = scene.x().Gather(pieces);
    std::vector<float> y(x.size());
    CausalConvArgs args = scene.Args(step);
    args.x = x.data();
    args.y = y.data();
    return rig_->Run(args).code();
  };
  EXPECT_EQ(code_with([](RecurrentStep&) {}), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.to[1] = 1; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.to[1] = 2; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.from[1] = 1; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.from[1] = 2; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.kept_to[0] = 1; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.kept_to[0] = 3; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.first_token[1] = 0; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.first_token[0] = 1; }), refused);
  EXPECT_EQ(code_with([](RecurrentStep& step) { step.n_tokens = 6; }), refused);
}

TEST_P(CausalConvTest, TakesNoTokensAsNoWorkAndRefusesBadArguments) {
  EXPECT_TRUE(rig_->Run(CausalConvArgs{}).ok());
  Scene scene({4}, 20, 4, 7);
  const RecurrentStep step({{.n_tokens = 4, .to = 1}});
  std::vector<float> x(80), y(80);
  const auto code_with = [&](auto change) {
    CausalConvArgs args = scene.Args(step);
    args.x = x.data();
    args.y = y.data();
    change(args);
    return rig_->Run(args).code();
  };
  EXPECT_EQ(code_with([](CausalConvArgs&) {}), StatusCode::kOk);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.batch.n_tokens = 0; }), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.x = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.y = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.x = a.y; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.weight = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.x_gate = a.x; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.y_gate = a.x; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.x_gate = a.y, a.y_gate = a.x; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.x_gate = a.x, a.y_gate = a.y; }), StatusCode::kOk);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.n_channels = 0; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.n_taps = 1; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.n_taps = 9; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.batch.n_tokens = -1; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.batch.n_sequences = 0; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.batch.n_sequences = 5; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.batch.first_token = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.state.data = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.state.from = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.state.to = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.state.kept_after = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.state.kept_to = nullptr; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.state.n_slots = 0; }), refused);
  EXPECT_EQ(code_with([](CausalConvArgs& a) { a.state.slot_stride = 59; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, CausalConvTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
