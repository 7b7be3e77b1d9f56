#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/daemon/generate_fixture.h"

namespace forge::testing {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// One model of two fits. "a" answers a long turn, and the load of "b" has lost its patience: "a"
// takes no new turns and goes with the end of its answer.
class EvictionWaitTest : public ::testing::Test {
 protected:
  EvictionWaitTest() {
    for (const char* name : {"a", "b"}) daemon_.AddModel(name, 3 * kMiB);
    daemon_.engine().SetBudgetBytes(6 * kMiB);
    daemon_.LoadModel("a");
  }

  void CloseForB() {
    daemon_.engine().SetTokenDelay(std::chrono::milliseconds(1));
    daemon_.engine().SetAnswerLength(1'000'000);
    running_.stream->Write(TextTurn("a", "long"));
    v1::GenerateResponse response;
    while (!response.has_token() && running_.stream->Read(&response)) continue;
    load_b_ =
        std::async(std::launch::async, [this] { return RunLoad(*daemon_.NewStub(), "b").status; });
    for (int i = 0; i < 5'000 && !IsBWaiting(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_TRUE(IsBWaiting());
  }
  bool IsBWaiting() {
    for (const ResidencyEvent& event : daemon_.residency().journal().Newest(100))
      if (event.kind == ResidencyEvent::Kind::kWaiting && event.model == "b") return true;
    return false;
  }
  // Writes a turn, and gives it the time to get in line.
  static void Ask(OpenStream& open, const v1::GenerateRequest& turn) {
    open.stream->Write(turn);
    open.stream->WritesDone();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  void EndRunningTurn() {
    daemon_.engine().SetAnswerLength(5);
    running_.stream->WritesDone();
    EXPECT_TRUE(running_.End().ok());
  }

  TestDaemon daemon_{[](Config& config) {
    config.residency.load_on_demand = true;
    config.residency.min_residence = config.residency.patience = std::chrono::milliseconds(0);
  }};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
  OpenStream running_{*stub_};
  std::future<grpc::Status> load_b_;
};

TEST_F(EvictionWaitTest, AFirstTurnThatWaitsForAModelThatGoesHasItLoadedAgain) {
  CloseForB();
  OpenStream waiting(*stub_);
  Ask(waiting, TextTurn("a", "hello"));
  EndRunningTurn();
  EXPECT_TRUE(load_b_.get().ok());
  EXPECT_EQ(ReadTurn(*waiting.stream).text, "abcde");
  EXPECT_TRUE(waiting.stream->Finish().ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 3) << "a, b and a again";
}

TEST_F(EvictionWaitTest, AConversationThatWaitsForAModelThatGoesIsTold) {
  OpenStream waiting(*stub_);
  waiting.stream->Write(TextTurn("a", "hello"));
  EXPECT_EQ(ReadTurn(*waiting.stream).text, "abcde");
  CloseForB();
  Ask(waiting, TextTurn("", "more"));
  EndRunningTurn();
  EXPECT_TRUE(load_b_.get().ok());
  EXPECT_ERROR(waiting.End(), FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_EQ(daemon_.engine().n_loads(), 2) << "a and b";
}

TEST_F(EvictionWaitTest, AModelThatIsUnloadedByNameDoesNotComeBackForWhoWaited) {
  CloseForB();
  OpenStream waiting(*stub_);
  Ask(waiting, TextTurn("a", "hello"));
  grpc::ClientContext context;
  v1::UnloadModelRequest request;
  request.set_model("a");
  v1::UnloadModelResponse response;
  EXPECT_TRUE(stub_->UnloadModel(&context, request, &response).ok());
  EXPECT_ERROR(waiting.End(), FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_TRUE(load_b_.get().ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 2) << "a and b";
}

}  // namespace
}  // namespace forge::testing
