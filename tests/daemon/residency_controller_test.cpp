#include "daemon/residency/residency_controller.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

using Kind = ResidencyAction::Kind;
using std::chrono::milliseconds;

// A device of 1000 bytes of which models may take 700.
DeviceState DeviceWith(uint64_t free_bytes, uint64_t allocated_bytes) {
  return {{.total_bytes = 1000,
           .free_bytes = free_bytes,
           .runtime_free_bytes = free_bytes,
           .driver_free_bytes = free_bytes},
          allocated_bytes};
}

// Loads the model of `demand` for `ticket` at time 0, alone on the device.
void Load(ResidencyController& controller, const ModelDemand& demand, TicketId ticket) {
  controller.Request(ticket, demand, /*wants_lease=*/false, milliseconds(0));
  controller.Decide(DeviceWith(1000, 0), milliseconds(0));
  controller.LoadEnded(demand.name, Status(), milliseconds(0));
  controller.Decide(DeviceWith(1000 - demand.plan_bytes, demand.plan_bytes), milliseconds(0));
}

TEST(ResidencyControllerTest, ALeaseDoesNotRaiseThePriorityAndALoadDoes) {
  ResidencyController controller(ResidencySettings{});
  Load(controller, {.name = "a", .plan_bytes = 300, .priority = -5}, 1);
  controller.Request(2, {.name = "a", .plan_bytes = 300}, /*wants_lease=*/true, milliseconds(1));
  controller.Decide(DeviceWith(700, 300), milliseconds(1));
  ASSERT_EQ(controller.n_leases("a"), 1u);
  EXPECT_EQ(controller.Residents(milliseconds(1)).at(0).priority, -5);
  controller.Request(3, {.name = "a", .plan_bytes = 300, .priority = 2}, /*wants_lease=*/false,
                     milliseconds(2));
  EXPECT_EQ(controller.Residents(milliseconds(2)).at(0).priority, 2);
}

TEST(ResidencyControllerTest, HowAModelIsKeptCanBeChanged) {
  ResidencyController controller({.keep_alive = milliseconds(9000)});
  Load(controller, {.name = "a", .plan_bytes = 300, .priority = 4}, 1);
  EXPECT_EQ(controller.KeepingOf("a")->end, milliseconds(9000)) << "as the settings say";
  ASSERT_TRUE(controller.Keep("a", {.keep_alive = milliseconds(500)}, milliseconds(100)).ok());
  const ModelKeeping kept = *controller.KeepingOf("a");
  EXPECT_EQ(kept.priority, 4) << "nothing was said of it";
  EXPECT_EQ(kept.keep_alive, milliseconds(500));
  EXPECT_EQ(kept.end, milliseconds(600));

  ASSERT_TRUE(controller.Keep("a", {.pinned = true, .priority = -1}, milliseconds(200)).ok());
  EXPECT_TRUE(controller.KeepingOf("a")->pinned);
  EXPECT_EQ(controller.KeepingOf("a")->priority, -1);
  EXPECT_FALSE(controller.KeepingOf("a")->end) << "it stays while it is pinned";
  controller.Decide(DeviceWith(700, 300), milliseconds(700));
  EXPECT_EQ(controller.StateOf("a"), ModelState::kReady);

  ASSERT_TRUE(controller.Keep("a", {.pinned = false}, milliseconds(700)).ok());
  controller.Decide(DeviceWith(700, 300), milliseconds(700));
  EXPECT_EQ(controller.StateOf("a"), ModelState::kUnloading);
  EXPECT_EQ(controller.Keep("a", {.pinned = true}, milliseconds(800)).reason(), "MODEL_NOT_LOADED");
  EXPECT_EQ(controller.Keep("b", {.pinned = true}, milliseconds(800)).reason(), "MODEL_NOT_LOADED");
}

TEST(ResidencyControllerTest, AUseWithoutALeaseMovesTheEndAndChangesNothingElse) {
  ResidencyController controller({.keep_alive = milliseconds(500)});
  Load(controller, {.name = "a", .plan_bytes = 300, .priority = 4}, 1);
  EXPECT_EQ(controller.KeepingOf("a")->end, milliseconds(500));
  ASSERT_TRUE(controller.Keep("a", {.is_use = true}, milliseconds(400)).ok());
  EXPECT_EQ(controller.KeepingOf("a")->end, milliseconds(900));
  EXPECT_EQ(controller.KeepingOf("a")->priority, 4);
  controller.Decide(DeviceWith(700, 300), milliseconds(899));
  EXPECT_EQ(controller.StateOf("a"), ModelState::kReady);
  controller.Decide(DeviceWith(700, 300), milliseconds(900));
  EXPECT_EQ(controller.StateOf("a"), ModelState::kUnloading);
}

TEST(ResidencyControllerTest, AModelInUseHasNoEndYet) {
  ResidencyController controller({});
  Load(controller, {.name = "a", .plan_bytes = 300, .keep_alive = milliseconds(0)}, 1);
  EXPECT_FALSE(controller.KeepingOf("a")->end) << "it stays for its first use";
  controller.Request(2, {.name = "a", .plan_bytes = 300}, /*wants_lease=*/true, milliseconds(1));
  controller.Decide(DeviceWith(700, 300), milliseconds(1));
  EXPECT_FALSE(controller.KeepingOf("a")->end);
  controller.Withdraw(2, milliseconds(5));
  EXPECT_EQ(controller.KeepingOf("a")->end, milliseconds(5));
}

TEST(ResidencyControllerTest, ALoadAfterOneThatEndedBadlyWaitsForALateReading) {
  for (const Status& end : {Cancelled("stopped"), DataLoss("the disk broke")}) {
    SCOPED_TRACE(end.ToString());
    ResidencyController controller({.reading_lag = milliseconds(1000)});
    controller.Request(1, {.name = "a", .plan_bytes = 600}, false, milliseconds(0));
    controller.Decide(DeviceWith(1000, 0), milliseconds(0));
    controller.LoadEnded("a", end, milliseconds(5000));
    controller.Decide(DeviceWith(400, 0), milliseconds(5000));
    // All of a's memory is freed, and none of it shows yet.
    controller.Request(2, {.name = "b", .plan_bytes = 600}, false, milliseconds(5010));
    for (const ResidencyAction& action : controller.Decide(DeviceWith(400, 0), milliseconds(5010)))
      EXPECT_EQ(action.kind, Kind::kWait) << action.reason;
    EXPECT_EQ(controller.n_waiting(), 1u);
    controller.Decide(DeviceWith(1000, 0), milliseconds(6010));
    EXPECT_EQ(controller.StateOf("b"), ModelState::kLoading);
  }
}

}  // namespace
}  // namespace forge
