#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"
#include "tests/kernels/recurrent_scene.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;
using testing::RecurrentStep;
using testing::SequenceRows;
using testing::StateSlots;
using testing::StepPiece;

constexpr int kSlots = 8;

// Sequences of random numbers, which go through the op step by step.
class Scene {
 public:
  Scene(const std::vector<int>& lengths, int n_channels, int n_taps, uint32_t seed)
      : random_(seed),
        n_channels_(n_channels),
        n_taps_(n_taps),
        lengths_(lengths),
        weight_(testing::NormalFloats(static_cast<size_t>(n_channels * n_taps), random_)),
        x_(lengths, n_channels, random_),
        y_(lengths, n_channels),
        slots_(kSlots, int64_t{n_taps - 1} * n_channels) {}

  CausalConvArgs Args(const RecurrentStep& step) {
    return {.batch = step.batch(),
            .state = slots_.View(step.state()),
            .weight = weight_.data(),
            .n_channels = n_channels_,
            .n_taps = n_taps_};
  }
  void Run(OpRig& rig, const std::vector<StepPiece>& pieces) {
    const RecurrentStep step(pieces);
    const std::vector<float> x = x_.Gather(pieces);
    GuardedArray<float> y(x.size());
    CausalConvArgs args = Args(step);
    args.x = x.data();
    args.y = y.data();
    const Status status = rig.Run(args);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(slots_.WroteOnly(pieces));
    y_.Scatter(y.data(), pieces);
  }
  void ExpectReference() const {
    for (size_t s = 0; s < lengths_.size(); ++s) {
      const int sequence = static_cast<int>(s);
      std::vector<double> want(y_.of(sequence).size());
      ReferenceCausalConv(x_.data(sequence), weight_.data(), want.data(), lengths_[s], n_channels_,
                          n_taps_);
      EXPECT_TRUE(testing::Near(y_.of(sequence), want, testing::kConvTolerance))
          << "sequence " << s;
    }
  }
  SequenceRows& x() { return x_; }
  const SequenceRows& y() const { return y_; }
  const StateSlots& slots() const { return slots_; }

 private:
  std::mt19937 random_;
  const int n_channels_;
  const int n_taps_;
  const std::vector<int> lengths_;
  const std::vector<float> weight_;
  SequenceRows x_, y_;
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
      const auto seed = static_cast<uint32_t>(n_taps + 100 * n_channels);
      SCOPED_TRACE("n_taps " + std::to_string(n_taps) + ", n_channels " +
                   std::to_string(n_channels) + ", seed " + std::to_string(seed));
      Scene scene({14, 3, 19}, n_channels, n_taps, seed);
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

// Whatever cuts a sequence into steps, in place or not.
TEST_P(CausalConvTest, GivesTheSameBitsHoweverASequenceIsCut) {
  Scene whole({23}, 150, 4, 1);
  whole.Run(*rig_, {{.n_tokens = 23, .to = 2}});
  for (const int step : {1, 2, 3, 5, 22}) {
    SCOPED_TRACE("tokens of a step: " + std::to_string(step));
    Scene cut({23}, 150, 4, 1);
    int32_t slot = -1;
    for (int first = 0; first < 23; first += step) {
      const int32_t next = first % 2 == 0 ? std::max(slot, 0) : (slot + 1) % kSlots;
      cut.Run(*rig_,
              {{.first = first, .n_tokens = std::min(step, 23 - first), .from = slot, .to = next}});
      slot = next;
    }
    EXPECT_TRUE(testing::SameBits(cut.y().of(0), whole.y().of(0)));
    EXPECT_TRUE(testing::SameBits(cut.slots().Slot(slot), whole.slots().Slot(2)));
  }
}

TEST_P(CausalConvTest, GivesTheSameBitsWhateverSharesTheStepAndOnEveryThreadCount) {
  const std::vector<int> lengths = {9, 1, 40};
  const std::vector<StepPiece> pieces = {{.sequence = 0, .n_tokens = 9, .to = 0},
                                         {.sequence = 1, .n_tokens = 1, .to = 1},
                                         {.sequence = 2, .n_tokens = 40, .to = 2}};
  Scene together(lengths, 1030, 4, 2), alone(lengths, 1030, 4, 2);
  together.Run(*rig_, pieces);
  for (const StepPiece& piece : pieces) alone.Run(*rig_, {piece});
  for (int s = 0; s < 3; ++s) {
    EXPECT_TRUE(testing::SameBits(together.y().of(s), alone.y().of(s)));
    EXPECT_TRUE(testing::SameBits(together.slots().Slot(s), alone.slots().Slot(s)));
  }
  if (!rig_->runs_on_threads()) return;
  for (const int n_threads : {1, 3, 5}) {
    Scene other(lengths, 1030, 4, 2);
    other.Run(*GetParam().Create(n_threads), pieces);
    for (int s = 0; s < 3; ++s) EXPECT_TRUE(testing::SameBits(together.y().of(s), other.y().of(s)));
  }
}

// From a state of the middle of a step, and two ways on from one state.
TEST_P(CausalConvTest, KeepsTheStateAfterAnyToken) {
  constexpr int kTokens = 9;
  Scene whole({kTokens}, 20, 5, 3);
  whole.Run(*rig_, {{.n_tokens = kTokens, .to = 0}});
  for (int first = 0; first < kTokens; first += 2)
    for (int32_t kept = 1; kept <= kTokens - first; ++kept) {
      SCOPED_TRACE("first " + std::to_string(first) + ", kept after " + std::to_string(kept));
      Scene scene({kTokens}, 20, 5, 3);
      if (first > 0) scene.Run(*rig_, {{.n_tokens = first, .to = 1}});
      const int32_t from = first > 0 ? 1 : -1;
      scene.Run(*rig_, {{.first = first,
                         .n_tokens = kTokens - first,
                         .from = from,
                         .to = 1,
                         .kept_after = kept,
                         .kept_to = 4}});
      EXPECT_TRUE(testing::SameBits(scene.slots().Slot(1), whole.slots().Slot(0)));
      const int next = first + kept;
      if (next < kTokens)
        scene.Run(*rig_, {{.first = next, .n_tokens = kTokens - next, .from = 4, .to = 6}});
      EXPECT_TRUE(
          testing::SameBits(scene.slots().Slot(next < kTokens ? 6 : 4), whole.slots().Slot(0)));
      EXPECT_TRUE(testing::SameBits(scene.y().of(0), whole.y().of(0)));
    }
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
  const auto check = [&](auto change) {
    Scene scene({4, 3}, 20, 4, 6);
    const std::vector<StepPiece> pieces = {
        {.sequence = 0, .n_tokens = 4, .to = 1, .kept_after = 2, .kept_to = 2},
        {.sequence = 1, .n_tokens = 3, .to = 3}};
    RecurrentStep step(pieces);
    change(step);
    const std::vector<float> x = scene.x().Gather(pieces);
    GuardedArray<float> y(x.size());
    StateSlots slots(kSlots, 60);
    CausalConvArgs args = scene.Args(step);
    args.state = slots.View(step.state());
    args.x = x.data();
    args.y = y.data();
    const Status status = rig_->Run(args);
    if (rig_->refuses_indices()) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_TRUE(slots.WroteOnly(std::vector<int32_t>{}));
      return;
    }
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(std::all_of(y.span().begin(), y.span().begin() + 80,
                            [](float value) { return std::isnan(value); }));
    EXPECT_TRUE(std::none_of(y.span().begin() + 80, y.span().end(),
                             [](float value) { return std::isnan(value); }));
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(slots.WroteOnly(std::vector<int32_t>{3}));
  };
  for (const int32_t bad : {-2, kSlots, INT32_MAX, INT32_MIN}) {
    SCOPED_TRACE(bad);
    check([&](RecurrentStep& step) { step.from[0] = bad; });
    check([&](RecurrentStep& step) { step.to[0] = bad; });
    check([&](RecurrentStep& step) { step.kept_to[0] = bad; });
    check([&](RecurrentStep& step) { step.kept_after[0] = bad; });
  }
  check([](RecurrentStep& step) { step.to[0] = -1; });
  check([](RecurrentStep& step) { step.kept_to[0] = -1; });
  check([](RecurrentStep& step) { step.kept_after[0] = 5; });
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
