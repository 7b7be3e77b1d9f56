#include <gtest/gtest.h>

#include "tests/daemon/generate_fixture.h"

namespace forge::testing {
namespace {

// Cancels of turns whose model is still being loaded.
class CancelOnDemandTest : public ::testing::Test {
 protected:
  CancelOnDemandTest() {
    daemon_.AddModel("tiny");
    daemon_.engine().HoldLoads();
  }

  // Sends a turn and reads until its model's weights are being loaded.
  static void WaitForWeights(OpenStream& open, const std::string& model) {
    open.stream->Write(TextTurn(model, "abc"));
    v1::GenerateResponse response;
    while (open.stream->Read(&response)) {
      ASSERT_TRUE(response.has_load_progress()) << response.ShortDebugString();
      if (response.load_progress().phase() == v1::LOAD_PHASE_LOADING_WEIGHTS) return;
    }
    FAIL() << open.stream->Finish().error_message();
  }
  // Cancels the turn and reads its end, which must be the next event but for progress.
  static void CancelAndRead(OpenStream& open) {
    open.stream->Write(CancelTurn());
    const TurnOutcome cancelled = ReadTurn(*open.stream);
    ASSERT_TRUE(cancelled.finished);
    EXPECT_EQ(cancelled.finished->reason(), v1::FINISH_REASON_CANCELLED);
  }

  TestDaemon daemon_{[](Config& config) { config.residency.load_on_demand = true; }};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

// Loads that a turn asks for.
class LoadOnDemandTest : public ::testing::Test {
 protected:
  LoadOnDemandTest() { daemon_.AddModel("tiny"); }

  static v1::GenerateRequest TurnWith(uint32_t context_length, int kv_cache_type) {
    v1::GenerateRequest request = TextTurn("tiny", "abc");
    v1::LoadOptions& options = *request.mutable_turn()->mutable_load_options();
    options.set_context_length(context_length);
    options.set_kv_cache_type(static_cast<v1::KvCacheType>(kv_cache_type));
    return request;
  }
  grpc::Status Run(const v1::GenerateRequest& request) {
    OpenStream open(*stub_);
    open.stream->Write(request);
    open.stream->WritesDone();
    return open.End();
  }

  TestDaemon daemon_{[](Config& config) { config.residency.load_on_demand = true; }};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(LoadOnDemandTest, LoadsWithTheOptionsOfTheTurnAndTakesAResidentModelAsItIs) {
  ASSERT_TRUE(Run(TurnWith(64, v1::KV_CACHE_TYPE_F32)).ok());
  EXPECT_EQ(daemon_.residency().Find("tiny")->info.context_length, 64u);
  EXPECT_EQ(daemon_.residency().Find("tiny")->info.kv_dtype, KvDType::kF32);
  EXPECT_TRUE(Run(TurnWith(32, v1::KV_CACHE_TYPE_F16)).ok());
  EXPECT_EQ(daemon_.residency().Find("tiny")->info.context_length, 64u);
}

TEST_F(LoadOnDemandTest, JoinsALoadWithOtherOptions) {
  daemon_.engine().HoldLoads();
  OpenStream first(*stub_), second(*stub_);
  for (OpenStream* open : {&first, &second}) {
    open->stream->Write(TurnWith(open == &first ? 64 : 32, v1::KV_CACHE_TYPE_F16));
    v1::GenerateResponse response;
    ASSERT_TRUE(open->stream->Read(&response));
    EXPECT_TRUE(response.has_load_progress());
  }
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(ReadTurn(*first.stream).finished);
  EXPECT_TRUE(ReadTurn(*second.stream).finished);
}

TEST_F(LoadOnDemandTest, NamesTheFieldOfAnOptionThatThereIsNot) {
  const grpc::Status status = Run(TurnWith(64, 99));
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "turn.load_options.kv_cache_type");
}

TEST_F(CancelOnDemandTest, EndsTheTurnAtOnceAndTheNextOneIsTheFirst) {
  OpenStream open(*stub_);
  WaitForWeights(open, "tiny");
  CancelAndRead(open);  // the load is held, so nothing else ends the turn

  open.stream->Write(TextTurn("", "abz"));
  daemon_.engine().ReleaseLoads();
  const TurnOutcome next = ReadTurn(*open.stream);
  ASSERT_TRUE(next.finished) << open.End().error_message();
  EXPECT_EQ(next.finished->reason(), v1::FINISH_REASON_END_OF_TEXT);
  EXPECT_EQ(daemon_.engine().last_request().prompt,
            (std::vector<TokenId>{FakeEngine::kBos, 0, 1, 25}))
      << "nothing is left of the cancelled turn, and the text begins the conversation";
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 1) << "the load went on";
}

TEST_F(CancelOnDemandTest, TheEndOfTheLoadDoesNotDisturbTheConversation) {
  OpenStream open(*stub_);
  WaitForWeights(open, "tiny");
  CancelAndRead(open);
  daemon_.engine().SetLoadFailure("tiny.gguf", DataLoss("the disk broke"));
  daemon_.residency().CancelLoad("tiny");
  daemon_.engine().ReleaseLoads();
  daemon_.AddModel("other");
  open.stream->Write(TextTurn("other", "a"));
  const TurnOutcome next = ReadTurn(*open.stream);
  ASSERT_TRUE(next.finished) << open.End().error_message();
  EXPECT_EQ(next.finished->reason(), v1::FINISH_REASON_END_OF_TEXT);
}

TEST_F(CancelOnDemandTest, AStreamThatIsHalfClosedAfterwardsEndsWithOk) {
  OpenStream open(*stub_);
  WaitForWeights(open, "tiny");
  CancelAndRead(open);
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
  EXPECT_EQ(daemon_.engine().n_sessions(), 0u);
}

}  // namespace
}  // namespace forge::testing
