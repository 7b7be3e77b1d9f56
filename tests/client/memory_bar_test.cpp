#include "client/commands/memory_bar.h"

#include <gtest/gtest.h>

#include "client/commands/event_names.h"

namespace forge::client {
namespace {

v1::DeviceMemory Device() {
  v1::DeviceMemory device;
  device.set_total_bytes(1000);
  v1::MemoryPlan& plan = *device.add_models()->mutable_memory();
  plan.set_weights_bytes(300);
  plan.set_kv_cache_bytes(100);
  plan.set_scratch_bytes(100);
  device.set_reserved_bytes(500);
  device.set_allocated_bytes(500);
  device.set_others_bytes(200);
  device.set_free_bytes(300);
  return device;
}

TEST(MemoryBarTest, GivesEveryPartItsShare) {
  EXPECT_EQ(RenderMemoryBar(Device(), 10), "[###=-oo   ]");
}

TEST(MemoryBarTest, ShowsTheReserveAndWhatIsPromised) {
  v1::DeviceMemory device = Device();
  device.set_reserve_bytes(100);
  device.set_reserved_bytes(600);
  EXPECT_EQ(RenderMemoryBar(device, 10), "[###=-+oor ]");
}

TEST(MemoryBarTest, StaysAsWideAsItIsWhateverTheNumbersSay) {
  v1::DeviceMemory device = Device();
  device.set_others_bytes(5000);
  EXPECT_EQ(RenderMemoryBar(device, 10), "[###=-ooooo]");
  EXPECT_EQ(RenderMemoryBar(v1::DeviceMemory(), 4), "[    ]");
}

TEST(EventNamesTest, AreWordsForPeople) {
  EXPECT_EQ(EventKindName(v1::EVENT_KIND_NOT_RESTORED), "not_restored");
  EXPECT_EQ(UnloadCauseName(v1::UNLOAD_CAUSE_KEEP_ALIVE), "keep_alive");
  v1::PolicyDecision decision;
  decision.set_kind(v1::PolicyDecision::KIND_EVICT);
  EXPECT_EQ(DecisionText(decision), "evict");
  decision.add_models("a");
  decision.add_models("b");
  EXPECT_EQ(DecisionText(decision), "evict a, b");
}

}  // namespace
}  // namespace forge::client
