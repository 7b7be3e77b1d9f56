#include <gtest/gtest.h>

#include "tests/daemon/generate_fixture.h"

namespace forge::testing {
namespace {

v1::EmbedRequest EmbedOf(const std::string& model) {
  v1::EmbedRequest request;
  request.set_model(model);
  request.add_inputs()->mutable_text()->set_text("ab");
  return request;
}

v1::ScoreRequest ScoreOf(const std::string& model) {
  v1::ScoreRequest request;
  request.set_model(model);
  request.mutable_input()->mutable_text()->set_text("ab");
  return request;
}

// Reads a stream to its end.
template <typename Response>
grpc::Status End(grpc::ClientReader<Response>& stream) {
  Response response;
  while (stream.Read(&response)) continue;
  return stream.Finish();
}

// Embed and Score of a model that is not resident.
class ReadOnDemandTest : public ::testing::Test {
 protected:
  explicit ReadOnDemandTest(bool loads = true)
      : daemon_([loads](Config& config) { config.residency.load_on_demand = loads; }) {
    path_ = daemon_.AddModel("tiny");
  }

  grpc::Status Embed(const std::string& model) {
    grpc::ClientContext context;
    return End(*stub_->Embed(&context, EmbedOf(model)));
  }
  grpc::Status Score(const std::string& model) {
    grpc::ClientContext context;
    return End(*stub_->Score(&context, ScoreOf(model)));
  }
  bool WaitForState(ModelState state) {
    for (int i = 0; i < 5000; ++i) {
      const std::optional<ModelSnapshot> model = daemon_.residency().Find("tiny");
      if (model && model->state == state) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  TestDaemon daemon_;
  std::string path_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

class ReadResidentTest : public ReadOnDemandTest {
 protected:
  ReadResidentTest() : ReadOnDemandTest(/*loads=*/false) {}
};

TEST_F(ReadOnDemandTest, LoadsNoEncoderForACallThatItCannotServe) {
  daemon_.AddModel("encoder");
  EXPECT_ERROR(Score("encoder"), FAILED_PRECONDITION, "MODEL_IS_ENCODER");
  OpenStream turn(*stub_);
  turn.stream->Write(TextTurn("encoder", "ab"));
  EXPECT_ERROR(turn.End(), FAILED_PRECONDITION, "MODEL_IS_ENCODER");
  EXPECT_EQ(daemon_.engine().n_loads(), 0);
  EXPECT_FALSE(daemon_.residency().Find("encoder"));  // nothing is wrong with it
  EXPECT_TRUE(Embed("encoder").ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 1);
}

TEST_F(ReadOnDemandTest, LoadsTheModelOnceAndTakesItWhereItIsThere) {
  EXPECT_TRUE(Embed("tiny").ok());
  EXPECT_TRUE(Embed(path_).ok());
  EXPECT_TRUE(Score("tiny").ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 1);
  daemon_.AddModel("other");
  EXPECT_TRUE(Score("other").ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 2);
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(ReadOnDemandTest, JoinsALoadThatRuns) {
  daemon_.engine().HoldLoads();
  LoadOutcome load;
  std::thread loader([&] { load = RunLoad(*stub_, "tiny"); });
  EXPECT_TRUE(WaitForState(ModelState::kLoading));
  std::thread release([&] { daemon_.engine().ReleaseLoads(); });
  EXPECT_TRUE(Embed("tiny").ok());
  release.join();
  loader.join();
  EXPECT_TRUE(load.ready);
  EXPECT_EQ(daemon_.engine().n_loads(), 1);
}

TEST_F(ReadOnDemandTest, EndsWithTheErrorOfTheLoadAndDoesNotTryItAgainAtOnce) {
  daemon_.engine().SetLoadFailure("tiny.gguf", DataLoss("cut").WithReason("MODEL_FILE_TRUNCATED"));
  EXPECT_ERROR(Embed("tiny"), DATA_LOSS, "MODEL_FILE_TRUNCATED");
  EXPECT_ERROR(Score("tiny"), UNAVAILABLE, "MODEL_COOLING_DOWN");
  EXPECT_ERROR(Embed("nothere"), NOT_FOUND, "MODEL_NOT_FOUND");
}

TEST_F(ReadOnDemandTest, AClientThatLeavesFreesItsPlaceWhileTheLoadGoesOn) {
  daemon_.engine().HoldLoads();
  {
    grpc::ClientContext context;
    const auto stream = stub_->Embed(&context, EmbedOf("tiny"));
    EXPECT_TRUE(WaitForState(ModelState::kLoading));
    context.TryCancel();
    EXPECT_EQ(End(*stream).error_code(), grpc::StatusCode::CANCELLED);
  }
  for (int i = 0; i < 5000 && daemon_.context().stream_admission.count() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(daemon_.context().stream_admission.count(), 0u);
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(WaitForState(ModelState::kReady));
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
  EXPECT_TRUE(Score("tiny").ok());
}

TEST_F(ReadResidentTest, RefusesAModelThatIsNotThereWhereNothingIsLoadedOnDemand) {
  EXPECT_ERROR(Embed("tiny"), FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_ERROR(Score("tiny"), FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_EQ(daemon_.engine().n_loads(), 0);
}

}  // namespace
}  // namespace forge::testing
