#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

TEST(GetMemoryTest, ShowsTheLedgerAndWhoHoldsIt) {
  TestDaemon daemon;
  daemon.AddModel("tiny", 1000);
  daemon.LoadModel("tiny");
  grpc::ClientContext context;
  v1::GetMemoryResponse response;
  ASSERT_TRUE(daemon.NewStub()->GetMemory(&context, {}, &response).ok());
  ASSERT_EQ(response.devices_size(), 1);
  const v1::DeviceMemory& device = response.devices(0);
  EXPECT_EQ(device.device(), "cpu");
  EXPECT_EQ(device.policy(), "share");
  EXPECT_EQ(device.binding_bound(), "free");
  EXPECT_EQ(device.allocation_count(), 3);
  EXPECT_EQ(device.reserved_bytes(), device.allocated_bytes());
  ASSERT_EQ(device.models_size(), 1);
  EXPECT_EQ(device.models(0).model(), "tiny");
  EXPECT_EQ(device.models(0).memory().total_bytes(), device.reserved_bytes());
  EXPECT_FALSE(device.has_cap_bytes());
}

TEST(GetServerInfoTest, SaysWhatRuns) {
  TestDaemon daemon;
  daemon.AddModel("tiny");
  daemon.LoadModel("tiny");
  const auto stub = daemon.NewStub();
  grpc::ClientContext context;
  v1::GetServerInfoResponse response;
  ASSERT_TRUE(stub->GetServerInfo(&context, {}, &response).ok());
  EXPECT_EQ(response.version(), "1.2.3");
  EXPECT_EQ(response.process_id(), getpid());
  EXPECT_EQ(response.resident_model_count(), 1u);
  EXPECT_EQ(response.devices(0), "cpu");
  EXPECT_EQ(response.model_directories_size(), 1);
  EXPECT_FALSE(response.draining());
  daemon.context().running_calls.BeginDrain();
  grpc::ClientContext second;
  ASSERT_TRUE(stub->GetServerInfo(&second, {}, &response).ok());
  EXPECT_TRUE(response.draining());
}

}  // namespace
}  // namespace forge::testing
