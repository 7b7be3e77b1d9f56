#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

class UnloadModelTest : public ::testing::Test {
 protected:
  grpc::Status Unload(const std::string& model, int64_t* freed_bytes = nullptr) {
    grpc::ClientContext context;
    v1::UnloadModelRequest request;
    request.set_model(model);
    v1::UnloadModelResponse response;
    const grpc::Status status = stub_->UnloadModel(&context, request, &response);
    if (freed_bytes != nullptr) *freed_bytes = response.freed_bytes();
    return status;
  }

  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(UnloadModelTest, ReturnsTheBytesThatAreFreeAgain) {
  daemon_.AddModel("tiny");
  daemon_.LoadModel("tiny");
  const uint64_t reserved = daemon_.engine().reserved_bytes();
  int64_t freed_bytes = 0;
  ASSERT_TRUE(Unload("tiny", &freed_bytes).ok());
  EXPECT_EQ(static_cast<uint64_t>(freed_bytes), reserved);
  EXPECT_EQ(daemon_.engine().reserved_bytes(), 0u);
  daemon_.LoadModel("tiny");
}

TEST_F(UnloadModelTest, WorksWhenTheFileIsGone) {
  const auto path = daemon_.AddModel("tiny");
  daemon_.LoadModel("tiny");
  std::filesystem::remove(path);
  EXPECT_TRUE(Unload("tiny").ok());
}

TEST_F(UnloadModelTest, RefusesWhatIsNotResident) {
  daemon_.AddModel("tiny");
  EXPECT_ERROR(Unload("tiny"), FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_ERROR(Unload("absent"), NOT_FOUND, "MODEL_NOT_FOUND");
  daemon_.engine().SetLoadFailure("tiny.gguf", Internal("broken"));
  RunLoad(*stub_, "tiny");
  EXPECT_ERROR(Unload("tiny"), FAILED_PRECONDITION, "MODEL_NOT_LOADED");
}

TEST_F(UnloadModelTest, EndsALoadThatIsUnderWay) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  auto load =
      std::async(std::launch::async, [&] { return RunLoad(*daemon_.NewStub(), "tiny").status; });
  while (!daemon_.residency().Find("tiny")) std::this_thread::yield();
  EXPECT_TRUE(Unload("tiny").ok());
  daemon_.engine().ReleaseLoads();
  EXPECT_ERROR(load.get(), CANCELLED, "LOAD_CANCELLED");
  EXPECT_FALSE(daemon_.residency().Find("tiny"));
}

TEST_F(UnloadModelTest, AsksNobodyToLoadWhatIsToBeUnloaded) {
  daemon_.AddModel("tiny");
  const grpc::Status status = Unload("tiny");
  EXPECT_ERROR(status, FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_EQ(status.error_message().find("forgectl load"), std::string::npos)
      << status.error_message();
}

TEST_F(UnloadModelTest, DoesNotWaitForLoads) {
  daemon_.AddModel("tiny");
  daemon_.LoadModel("tiny");
  daemon_.engine().HoldLoads();
  std::vector<std::future<grpc::Status>> loads;
  for (const char* name : {"a", "b", "c", "d"}) {
    daemon_.AddModel(name);
    loads.push_back(std::async(std::launch::async,
                               [this, name] { return RunLoad(*daemon_.NewStub(), name).status; }));
  }
  while (daemon_.residency().List().size() < 5) std::this_thread::yield();
  EXPECT_TRUE(Unload("tiny").ok());
  daemon_.engine().ReleaseLoads();
  for (auto& load : loads) EXPECT_TRUE(load.get().ok());
}

TEST_F(UnloadModelTest, TwoHundredLoadsAndUnloadsLeaveNothing) {
  daemon_.AddModel("tiny");
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(RunLoad(*stub_, "tiny").status.ok());
    ASSERT_TRUE(Unload("tiny").ok());
  }
  EXPECT_EQ(daemon_.engine().reserved_bytes(), 0u);
  EXPECT_TRUE(daemon_.residency().List().empty());
}

}  // namespace
}  // namespace forge::testing
