#include "daemon/residency/residency_controller.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

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

}  // namespace
}  // namespace forge
