#include <gtest/gtest.h>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

class CooldownTest : public ::testing::Test {
 protected:
  CooldownTest() {
    daemon_.AddModel("a");
    daemon_.engine().SetLoadFailure("a.gguf", DataLoss("the disk broke"));
  }

  grpc::Status Generate() {
    grpc::ClientContext context;
    const auto stream = stub_->Generate(&context);
    stream->Write(TextTurn("a", "hello"));
    stream->WritesDone();
    ReadTurn(*stream);
    return stream->Finish();
  }

  TestDaemon daemon_{[](Config& config) { config.residency.load_on_demand = true; }};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(CooldownTest, ALoadOnDemandIsNotTriedAgainAtOnce) {
  EXPECT_EQ(Generate().error_code(), grpc::StatusCode::DATA_LOSS);
  const grpc::Status second = Generate();
  EXPECT_ERROR(second, UNAVAILABLE, "MODEL_COOLING_DOWN");
  EXPECT_NE(second.error_message().find("the disk broke"), std::string::npos);
  EXPECT_EQ(daemon_.engine().n_loads(), 1);
}

TEST_F(CooldownTest, AHeaderThatWasRefusedIsNotReadAgainAtOnce) {
  daemon_.engine().SetInspectFailure(
      "a.gguf", InvalidArgument("the magic is wrong").WithReason("MODEL_FILE_INVALID"));
  EXPECT_ERROR(Generate(), INVALID_ARGUMENT, "MODEL_FILE_INVALID");
  const int n_inspections = daemon_.engine().n_inspections();
  for (int i = 0; i < 3; ++i) {
    const grpc::Status status = Generate();
    EXPECT_ERROR(status, UNAVAILABLE, "MODEL_COOLING_DOWN");
    EXPECT_NE(status.error_message().find("the magic is wrong"), std::string::npos);
  }
  EXPECT_EQ(daemon_.engine().n_inspections(), n_inspections);
  EXPECT_ERROR(RunLoad(*stub_, "a").status, INVALID_ARGUMENT, "MODEL_FILE_INVALID");
  daemon_.engine().SetInspectFailure("a.gguf", Status());
  daemon_.engine().SetLoadFailure("a.gguf", Status());
  EXPECT_ERROR(Generate(), UNAVAILABLE, "MODEL_COOLING_DOWN");
  daemon_.AddModel("a", 2'000);
  EXPECT_TRUE(Generate().ok());
}

TEST_F(CooldownTest, OptionsThatWereRefusedDoNotCoolTheModelDown) {
  daemon_.engine().SetLoadFailure("a.gguf", Status());
  v1::LoadOptions options;
  options.set_context_length(100'000);
  EXPECT_ERROR(RunLoad(*stub_, "a", options).status, OUT_OF_RANGE, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_TRUE(Generate().ok());
}

TEST_F(CooldownTest, APersonWhoAsksIsObeyed) {
  EXPECT_EQ(Generate().error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(RunLoad(*stub_, "a").status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(daemon_.engine().n_loads(), 2);
}

TEST_F(CooldownTest, AFileThatChangedIsTriedAtOnce) {
  EXPECT_EQ(Generate().error_code(), grpc::StatusCode::DATA_LOSS);
  daemon_.engine().SetLoadFailure("a.gguf", Status());
  daemon_.AddModel("a", 2'000);
  EXPECT_TRUE(Generate().ok());
}

}  // namespace
}  // namespace forge::testing
