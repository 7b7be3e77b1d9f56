#include "daemon/residency/model_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace forge {
namespace {

using enum ModelState;
constexpr ModelState kAll[] = {kOnDisk, kLoading, kReady, kUnloading, kFailed};

// A lifecycle brought to `state` by legal steps.
ModelLifecycle At(ModelState state) {
  ModelLifecycle lifecycle;
  const auto go = [&lifecycle](ModelState to) { EXPECT_TRUE(lifecycle.Transition(to).ok()); };
  if (state != kOnDisk) go(kLoading);
  if (state == kReady || state == kUnloading) go(kReady);
  if (state == kUnloading) go(kUnloading);
  if (state == kFailed) go(kFailed);
  return lifecycle;
}

TEST(ModelLifecycleTest, AllowsExactlyTheLegalTransitions) {
  const auto legal = LegalTransitions();
  for (const ModelState from : kAll) {
    for (const ModelState to : kAll) {
      SCOPED_TRACE(std::string(ModelStateName(from)) + " to " + std::string(ModelStateName(to)));
      const bool is_legal =
          std::find(legal.begin(), legal.end(), std::pair(from, to)) != legal.end();
      ModelLifecycle lifecycle = At(from);
      const Status status = lifecycle.Transition(to);
      EXPECT_EQ(status.ok(), is_legal);
      EXPECT_EQ(lifecycle.state(), is_legal ? to : from);
      if (!is_legal) {
        EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
      }
    }
  }
}

TEST(ModelLifecycleTest, EveryStateCanBeReachedAndLeft) {
  const auto legal = LegalTransitions();
  for (const ModelState state : kAll) {
    EXPECT_TRUE(std::any_of(legal.begin(), legal.end(),
                            [state](const auto& pair) { return pair.first == state; }));
    EXPECT_TRUE(std::any_of(legal.begin(), legal.end(),
                            [state](const auto& pair) { return pair.second == state; }));
  }
}

}  // namespace
}  // namespace forge
