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
