// What a step asks of the HIP runtime.
#include <gmock/gmock.h>

#include <string>

#include "tests/engine/runtime/forward_harness.h"
#include "tests/hip_emulator/control.h"
#include "tests/support/tiny_model.h"

namespace forge::testing {
namespace {

using ::testing::IsEmpty;

class HipForwardTest : public ::testing::Test {
 protected:
  void SetUp() override { emulator::Reset(); }
  void TearDown() override { EXPECT_THAT(emulator::TakeFaults(), IsEmpty()); }

  // Calls of a function of the runtime, or launches of a kernel, while `sequences` of them decode
  // one token each.
  static uint64_t CallsOfStep(ForwardHarness& model, const std::string& name,
                              uint32_t sequences = 1) {
    const uint64_t before = emulator::Calls(name);
    std::vector<ForwardHarness::Part> parts;
    for (uint32_t s = 0; s < sequences; ++s) parts.push_back({s, {TokenId{7}}});
    model.Step(parts);
    return emulator::Calls(name) - before;
  }
};

TEST_F(HipForwardTest, OneCopyTakesAStepsIndicesToTheDeviceAndOneForEachRowItsLogitsBack) {
  const TempFile file(MakeTinyModel({.architecture = "gemma3"}).Build());  // two groups of layers
  ForwardHarness model(file.path(), {.context_length = 128, .max_sequences = 2});
  EXPECT_EQ(CallsOfStep(model, "hipMemcpyAsync", 1), 2u);
  EXPECT_EQ(CallsOfStep(model, "hipMemcpyAsync", 2), 3u);
}

}  // namespace
}  // namespace forge::testing
