#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/kernels/op_test.h"
#include "tests/kernels/recurrent_scene.h"

// What every op with a state in slots must do, whatever it computes.
//
// A scene has sequences of the same numbers whenever it is made, and Run(rig, pieces), y().of(s),
// slots() with kSceneSlots slots, and Try(rig, pieces, step, y), which checks nothing. `make` makes
// one with sequences of the lengths that it is given.
namespace forge::testing {

inline constexpr int kSceneSlots = 8;

// Whatever cuts a sequence into steps, in place or not.
template <typename Make>
void ExpectTheSameBitsHoweverASequenceIsCut(OpRig& rig, int n_tokens, std::vector<int> steps,
                                            const Make& make) {
  auto whole = make({n_tokens});
  whole.Run(rig, {{.n_tokens = n_tokens, .to = 2}});
  for (const int step : steps) {
    SCOPED_TRACE("tokens of a step: " + std::to_string(step));
    auto cut = make({n_tokens});
    int32_t slot = -1;
    for (int first = 0; first < n_tokens; first += step) {
      const int32_t next = first % 2 == 0 ? std::max(slot, 0) : (slot + 1) % kSceneSlots;
      cut.Run(rig, {{.first = first,
                     .n_tokens = std::min(step, n_tokens - first),
                     .from = slot,
                     .to = next}});
      slot = next;
    }
    EXPECT_TRUE(SameBits(cut.y().of(0), whole.y().of(0)));
    EXPECT_TRUE(SameBits(cut.slots().Slot(slot), whole.slots().Slot(2)));
  }
}

template <typename Make>
void ExpectTheSameBitsInAnyCompany(const OpRigKind& kind, const std::vector<int>& lengths,
                                   const Make& make) {
  const std::unique_ptr<OpRig> rig = kind.Create();
  std::vector<StepPiece> pieces;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int sequence = static_cast<int>(s);
    pieces.push_back({.sequence = sequence, .n_tokens = lengths[s], .to = sequence});
  }
  auto together = make(lengths), alone = make(lengths);
  together.Run(*rig, pieces);
  for (const StepPiece& piece : pieces) alone.Run(*rig, {piece});
  for (const StepPiece& piece : pieces) {
    EXPECT_TRUE(SameBits(together.y().of(piece.sequence), alone.y().of(piece.sequence)));
    EXPECT_TRUE(SameBits(together.slots().Slot(piece.to), alone.slots().Slot(piece.to)));
  }
  if (!rig->runs_on_threads()) return;
  for (const int n_threads : {1, 3, 5}) {
    auto other = make(lengths);
    other.Run(*kind.Create(n_threads), pieces);
    for (const StepPiece& piece : pieces)
      EXPECT_TRUE(SameBits(together.y().of(piece.sequence), other.y().of(piece.sequence)));
  }
}

// From a state of the middle of a step, and two ways on from one state.
template <typename Make>
void ExpectKeptStates(OpRig& rig, int n_tokens, const Make& make) {
  auto whole = make({n_tokens});
  whole.Run(rig, {{.n_tokens = n_tokens, .to = 0}});
  for (int first = 0; first < n_tokens; first += 2)
    for (int32_t kept = 1; kept <= n_tokens - first; ++kept) {
      SCOPED_TRACE("first " + std::to_string(first) + ", kept after " + std::to_string(kept));
      auto scene = make({n_tokens});
      if (first > 0) scene.Run(rig, {{.n_tokens = first, .to = 1}});
      const int32_t from = first > 0 ? 1 : -1;
      scene.Run(rig, {{.first = first,
                       .n_tokens = n_tokens - first,
                       .from = from,
                       .to = 1,
                       .kept_after = kept,
                       .kept_to = 4}});
      EXPECT_TRUE(SameBits(scene.slots().Slot(1), whole.slots().Slot(0)));
      const int next = first + kept;
      if (next < n_tokens)
        scene.Run(rig, {{.first = next, .n_tokens = n_tokens - next, .from = 4, .to = 6}});
      EXPECT_TRUE(SameBits(scene.slots().Slot(next < n_tokens ? 6 : 4), whole.slots().Slot(0)));
      EXPECT_TRUE(SameBits(scene.y().of(0), whole.y().of(0)));
    }
}

// A slot out of range is refused, or where the device cannot look what it would spoil is NaN.
template <typename Make>
void ExpectNoSlotOutOfRangePasses(OpRig& rig, int row_elements, const Make& make) {
  const auto check = [&](auto change) {
    auto scene = make({4, 3});
    const std::vector<StepPiece> pieces = {
        {.sequence = 0, .n_tokens = 4, .to = 1, .kept_after = 2, .kept_to = 2},
        {.sequence = 1, .n_tokens = 3, .to = 3}};
    RecurrentStep step(pieces);
    change(step);
    GuardedArray<float> y(static_cast<size_t>(7 * row_elements));
    const Status status = scene.Try(rig, pieces, step, y);
    if (rig.refuses_indices()) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_TRUE(scene.slots().WroteOnly(std::vector<int32_t>{}));
      return;
    }
    ASSERT_TRUE(status.ok()) << status.ToString();
    const auto is_nan = [](float value) { return std::isnan(value); };
    const auto spoiled = y.span().begin() + 4 * row_elements;
    EXPECT_TRUE(std::all_of(y.span().begin(), spoiled, is_nan));
    EXPECT_TRUE(std::none_of(spoiled, y.span().end(), is_nan));
    EXPECT_TRUE(y.GuardsIntact());
    EXPECT_TRUE(scene.slots().WroteOnly(std::vector<int32_t>{3}));
  };
  for (const int32_t bad : {-2, kSceneSlots, INT32_MAX, INT32_MIN}) {
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

}  // namespace forge::testing
