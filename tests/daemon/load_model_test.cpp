#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "kernels/base/byte_text.h"
#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

class LoadModelTest : public ::testing::Test {
 protected:
  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

// A LoadModel stream that a test drives by hand.
struct OpenLoad {
  OpenLoad(v1::ForgeService::Stub& stub, const std::string& model)
      : stream(stub.LoadModel(&context)) {
    v1::LoadModelRequest request;
    request.mutable_start()->set_model(model);
    stream->Write(request);
  }
  OpenLoad(v1::ForgeService::Stub& stub, const v1::LoadModelRequest& request)
      : stream(stub.LoadModel(&context)) {
    stream->Write(request);
  }
  // Reads until weights are being loaded.
  bool ReachesWeights() {
    v1::LoadModelResponse response;
    while (stream->Read(&response)) {
      if (response.progress().phase() == v1::LOAD_PHASE_LOADING_WEIGHTS) return true;
    }
    return false;
  }
  grpc::Status End() {
    v1::LoadModelResponse response;
    while (stream->Read(&response)) {
      if (response.has_ready()) ready = response.ready();
    }
    return stream->Finish();
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::LoadModelRequest, v1::LoadModelResponse>> stream;
  std::optional<v1::Model> ready;
};

TEST_F(LoadModelTest, EndsWithTheReadyModelAndItsMemory) {
  daemon_.AddModel("tiny", 1000);
  const LoadOutcome outcome = RunLoad(*stub_, "tiny");
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  ASSERT_TRUE(outcome.ready);
  EXPECT_EQ(outcome.ready->name(), "tiny");
  EXPECT_EQ(outcome.ready->state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(outcome.ready->details().architecture(), "fake");
  EXPECT_EQ(outcome.ready->residency().memory().weights_bytes(), 1000);
  EXPECT_EQ(static_cast<uint64_t>(outcome.ready->residency().memory().total_bytes()),
            daemon_.engine().reserved_bytes());
}

TEST_F(LoadModelTest, ReportsPhasesInOrderWithBytesAndPlan) {
  daemon_.AddModel("tiny", 1000);
  daemon_.engine().HoldLoads();
  OpenLoad load(*stub_, "tiny");
  v1::LoadModelResponse response;
  int last_phase = 0;
  int64_t last_bytes = 0;
  while (last_bytes < 500 && load.stream->Read(&response)) {
    const auto& progress = response.progress();
    EXPECT_GE(progress.phase(), last_phase);
    EXPECT_GE(progress.bytes_done(), last_bytes);
    last_phase = progress.phase();
    last_bytes = progress.bytes_done();
    if (progress.phase() >= v1::LOAD_PHASE_ADMISSION) {
      EXPECT_EQ(progress.plan().weights_bytes(), 1000);
    }
  }
  EXPECT_EQ(last_phase, v1::LOAD_PHASE_LOADING_WEIGHTS);
  EXPECT_EQ(response.progress().bytes_total(), 1000);
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(load.End().ok());
}

TEST_F(LoadModelTest, AnswersAtOnceForAResidentModelEvenWhenItsFileIsGone) {
  const auto path = daemon_.AddModel("tiny");
  ASSERT_TRUE(RunLoad(*stub_, "tiny").status.ok());
  std::filesystem::remove(path);
  const LoadOutcome again = RunLoad(*stub_, "tiny");
  ASSERT_TRUE(again.status.ok()) << again.status.error_message();
  EXPECT_EQ(again.ready->state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(daemon_.engine().n_loads(), 1);
}

TEST_F(LoadModelTest, JoinsALoadThatRuns) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  OpenLoad first(*stub_, "tiny");
  ASSERT_TRUE(first.ReachesWeights());
  OpenLoad second(*stub_, "tiny");
  ASSERT_TRUE(second.ReachesWeights());
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(first.End().ok());
  EXPECT_TRUE(second.End().ok());
  EXPECT_TRUE(first.ready);
  EXPECT_TRUE(second.ready);
  EXPECT_EQ(daemon_.engine().n_loads(), 1);
}

TEST_F(LoadModelTest, CancelEndsTheLoadForEverybody) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  OpenLoad first(*stub_, "tiny");
  ASSERT_TRUE(first.ReachesWeights());
  OpenLoad second(*stub_, "tiny");
  ASSERT_TRUE(second.ReachesWeights());
  v1::LoadModelRequest cancel;
  cancel.mutable_cancel();
  second.stream->Write(cancel);
  EXPECT_ERROR(first.End(), CANCELLED, "LOAD_CANCELLED");
  EXPECT_ERROR(second.End(), CANCELLED, "LOAD_CANCELLED");
  EXPECT_EQ(daemon_.engine().reserved_bytes(), 0u);
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok()) << "it can be loaded again";
}

TEST_F(LoadModelTest, GoesOnWhenItsClientIsGone) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  {
    const auto stub = daemon_.NewStub();
    OpenLoad load(*stub, "tiny");
    ASSERT_TRUE(load.ReachesWeights());
    load.context.TryCancel();
    load.End();
  }
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 1) << "the second call joined the first load or found it";
}

TEST_F(LoadModelTest, RefusesOptionsThatDifferFromTheResidentOnes) {
  daemon_.AddModel("tiny");
  v1::LoadOptions options;
  options.set_context_length(512);
  ASSERT_TRUE(RunLoad(*stub_, "tiny", options).status.ok());
  EXPECT_TRUE(RunLoad(*stub_, "tiny", options).status.ok()) << "the same options are no conflict";
  options.set_context_length(1024);
  options.set_kv_cache_type(v1::KV_CACHE_TYPE_F32);
  const grpc::Status status = RunLoad(*stub_, "tiny", options).status;
  EXPECT_ERROR(status, FAILED_PRECONDITION, "MODEL_OPTIONS_DIFFER");
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("unload it first"));
  const auto info = ErrorInfoOf(status);
  EXPECT_EQ(info.metadata().at("residentContextLength"), "512");
  EXPECT_EQ(info.metadata().at("requestedContextLength"), "1024");
  EXPECT_EQ(info.metadata().at("requestedKvCacheType"), "f32");
}

TEST_F(LoadModelTest, APlanWithOtherOptionsThanTheResidentOnesIsRefusedAsTheLoadIs) {
  daemon_.AddModel("tiny");
  v1::LoadOptions options;
  options.set_context_length(512);
  ASSERT_TRUE(RunLoad(*stub_, "tiny", options).status.ok());
  const auto plan = [this](const v1::LoadOptions& wanted, v1::PlanModelResponse& response) {
    grpc::ClientContext context;
    v1::PlanModelRequest request;
    request.set_model("tiny");
    *request.mutable_options() = wanted;
    return stub_->PlanModel(&context, request, &response);
  };
  v1::PlanModelResponse response;
  ASSERT_TRUE(plan({}, response).ok());
  EXPECT_EQ(response.decision(), v1::PlanModelResponse::DECISION_RESIDENT);
  EXPECT_EQ(response.details().options().context_length(), 512u) << "as it is resident";
  options.set_max_sequences(9);
  const grpc::Status status = plan(options, response);
  EXPECT_ERROR(status, FAILED_PRECONDITION, "MODEL_OPTIONS_DIFFER");
  EXPECT_EQ(status.error_message(), RunLoad(*stub_, "tiny", options).status.error_message());
}

TEST_F(LoadModelTest, RefusesToJoinALoadWithOtherOptions) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  OpenLoad load(*stub_, "tiny");
  ASSERT_TRUE(load.ReachesWeights());
  v1::LoadOptions options;
  options.set_device("cpu");
  options.set_max_sequences(4);
  auto same = std::async(std::launch::async,
                         [&] { return RunLoad(*daemon_.NewStub(), "tiny", options).status; });
  v1::LoadOptions other;
  other.set_max_sequences(9);
  EXPECT_ERROR(RunLoad(*stub_, "tiny", other).status, FAILED_PRECONDITION, "MODEL_OPTIONS_DIFFER");
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(load.End().ok());
  EXPECT_TRUE(same.get().ok());
}

// One load with `residency`, to its end.
v1::Residency Keep(v1::ForgeService::Stub& stub, const v1::ResidencyOptions& residency) {
  v1::LoadModelRequest request;
  request.mutable_start()->set_model("tiny");
  *request.mutable_start()->mutable_residency() = residency;
  OpenLoad load(stub, request);
  const grpc::Status status = load.End();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return load.ready ? load.ready->residency() : v1::Residency();
}

TEST_F(LoadModelTest, ChangesHowAResidentModelIsKeptWhereTheRequestSaysSo) {
  daemon_.AddModel("tiny");
  v1::ResidencyOptions residency;
  residency.set_priority(3);
  residency.mutable_keep_alive()->set_seconds(300);
  const v1::Residency loaded = Keep(*stub_, residency);
  EXPECT_EQ(loaded.priority(), 3);
  EXPECT_EQ(loaded.keep_alive().seconds(), 300);
  EXPECT_NEAR(static_cast<double>(loaded.expire_time().seconds()),
              static_cast<double>(loaded.load_time().seconds()) + 300.0, 30.0);

  residency.Clear();
  residency.set_pin(true);
  const v1::Residency pinned = Keep(*stub_, residency);
  EXPECT_TRUE(pinned.pinned());
  EXPECT_EQ(pinned.priority(), 3) << "it was not spoken of";
  EXPECT_FALSE(pinned.has_expire_time());

  residency.Clear();
  residency.set_pin(false);
  residency.set_priority(0);
  residency.mutable_keep_alive()->set_seconds(60);
  const v1::Residency last = Keep(*stub_, residency);
  EXPECT_FALSE(last.pinned());
  EXPECT_EQ(last.priority(), 0);
  EXPECT_EQ(last.keep_alive().seconds(), 60);
  EXPECT_EQ(daemon_.engine().n_loads(), 1);

  const ResidentRecord record = daemon_.residency().Records().at(0);
  EXPECT_EQ(record.request.pinned, false);
  EXPECT_EQ(record.request.priority, 0);
  EXPECT_EQ(record.request.keep_alive, std::chrono::seconds(60)) << "a restart keeps it so";
}

TEST_F(LoadModelTest, ALoadOfAResidentModelIsAUseOfIt) {
  daemon_.AddModel("tiny");
  v1::ResidencyOptions residency;
  residency.mutable_keep_alive()->set_seconds(300);
  const auto end = [](const v1::Residency& of) {
    return std::chrono::seconds(of.expire_time().seconds()) +
           std::chrono::nanoseconds(of.expire_time().nanos());
  };
  const auto first = end(Keep(*stub_, residency));
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  const v1::Residency again = Keep(*stub_, {});
  EXPECT_EQ(again.keep_alive().seconds(), 300);
  EXPECT_GE(end(again), first + std::chrono::milliseconds(50));
}

TEST_F(LoadModelTest, AShorterKeepAliveOfAResidentModelEndsIt) {
  daemon_.AddModel("tiny");
  daemon_.LoadModel("tiny");
  // The load, which waited, left a look at the memory behind, a second after it was asked for.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  v1::ResidencyOptions residency;
  residency.mutable_keep_alive()->set_nanos(20'000'000);
  Keep(*stub_, residency);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (daemon_.residency().Find("tiny") && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(daemon_.residency().Find("tiny"));
}

TEST_F(LoadModelTest, WhoJoinsALoadMayPinItsModel) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  OpenLoad load(*stub_, "tiny");
  ASSERT_TRUE(load.ReachesWeights());
  v1::LoadModelRequest request;
  request.mutable_start()->set_model("tiny");
  request.mutable_start()->mutable_residency()->set_pin(true);
  OpenLoad joined(*stub_, request);
  ASSERT_TRUE(joined.ReachesWeights());
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(joined.End().ok());
  EXPECT_TRUE(joined.ready->residency().pinned());
  EXPECT_TRUE(load.End().ok());
  EXPECT_TRUE(daemon_.residency().Find("tiny")->pinned);
}

TEST_F(LoadModelTest, RefusalOverBudgetCarriesEveryNumberAndChangesNothing) {
  daemon_.AddModel("big", 500'000);
  daemon_.engine().SetBudgetBytes(100'000);
  const grpc::Status status = RunLoad(*stub_, "big").status;
  EXPECT_ERROR(status, RESOURCE_EXHAUSTED, "GPU_BUDGET_EXCEEDED");
  const auto info = ErrorInfoOf(status);
  EXPECT_EQ(info.domain(), "forge.local");
  EXPECT_FALSE(info.metadata().empty());
  for (const char* key : {"requestedBytes", "availableBytes", "availableAloneBytes"})
    EXPECT_THAT(status.error_message(),
                ::testing::HasSubstr(ByteText(std::stoull(info.metadata().at(key)))))
        << key;
  EXPECT_EQ(info.metadata().at("requestedBytes"), "581920");
  EXPECT_EQ(info.metadata().at("weightsBytes"), "500000");
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("its weights take 488 KiB"));
  EXPECT_THAT(status.error_message(), ::testing::Not(::testing::HasSubstr("unload")))
      << "there is nothing to unload";
  EXPECT_FALSE(DetailOf<google::rpc::RetryInfo>(status)) << "trying again does not help";
  EXPECT_EQ(daemon_.engine().reserved_bytes(), 0u);
}

TEST_F(LoadModelTest, FailureIsKeptAsStateAndCanBeRetried) {
  daemon_.AddModel("tiny");
  daemon_.engine().SetLoadFailure("tiny.gguf",
                                  DataLoss("cut short").WithReason("MODEL_FILE_TRUNCATED"));
  EXPECT_ERROR(RunLoad(*stub_, "tiny").status, DATA_LOSS, "MODEL_FILE_TRUNCATED");
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_model("tiny");
  v1::GetModelResponse response;
  ASSERT_TRUE(stub_->GetModel(&context, request, &response).ok());
  EXPECT_EQ(response.model().state(), v1::MODEL_STATE_FAILED);
  EXPECT_EQ(response.model().error(), "cut short");
  daemon_.engine().SetLoadFailure("tiny.gguf", Status());
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok());
}

TEST_F(LoadModelTest, TooSlowLoadEndsWithItsLimit) {
  TestDaemon daemon(
      [](Config& config) { config.limits.load_deadline = std::chrono::milliseconds(50); });
  daemon.AddModel("tiny");
  daemon.engine().HoldLoads();
  const auto stub = daemon.NewStub();
  const grpc::Status status = RunLoad(*stub, "tiny").status;
  EXPECT_ERROR(status, DEADLINE_EXCEEDED, "LOAD_TOO_SLOW");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("limitMs"), "50");
}

TEST_F(LoadModelTest, RefusesWhatIsNoModel) {
  daemon_.directory().WriteFile("secret.gguf", "x");
  EXPECT_ERROR(RunLoad(*stub_, "absent").status, NOT_FOUND, "MODEL_NOT_FOUND");
  EXPECT_ERROR(RunLoad(*stub_, "../secret").status, INVALID_ARGUMENT, "MODEL_PATH_OUTSIDE");
  EXPECT_ERROR(RunLoad(*stub_, "/etc/passwd").status, INVALID_ARGUMENT, "MODEL_PATH_OUTSIDE");
  EXPECT_ERROR(RunLoad(*stub_, std::string("a\0b", 3)).status, INVALID_ARGUMENT,
               "MODEL_PATH_OUTSIDE");
  EXPECT_ERROR(RunLoad(*stub_, "").status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(daemon_.engine().n_loads(), 0);
}

TEST_F(LoadModelTest, RefusesAnUnknownKvCacheType) {
  daemon_.AddModel("tiny");
  v1::LoadOptions options;
  options.set_kv_cache_type(static_cast<v1::KvCacheType>(99));
  const grpc::Status status = RunLoad(*stub_, "tiny", options).status;
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(status)->field_violations(0).field(),
            "options.kv_cache_type");
}

TEST_F(LoadModelTest, RefusesADeviceWhoseNameIsTooLong) {
  daemon_.AddModel("tiny");
  v1::LoadOptions options;
  options.set_device(std::string(64, 'd'));
  EXPECT_ERROR(RunLoad(*stub_, "tiny", options).status, NOT_FOUND, "DEVICE_NOT_FOUND");
  options.set_device(std::string(65, 'd'));
  const grpc::Status status = RunLoad(*stub_, "tiny", options).status;
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("field"), "options.device");
}

TEST(LoadDefaultsTest, AContextIsNoLongerThanTheTrainedOneUnlessAskedFor) {
  TestDaemon daemon([](Config& config) { config.load_defaults.context_length = 100'000; });
  daemon.AddModel("tiny");
  const auto stub = daemon.NewStub();
  v1::LoadOptions options;
  options.set_context_length(100'000);
  const grpc::Status asked = RunLoad(*stub, "tiny", options).status;
  EXPECT_ERROR(asked, OUT_OF_RANGE, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_FALSE(daemon.residency().Find("tiny")) << "that says nothing about the file";
  EXPECT_THAT(asked.error_message(), ::testing::Not(::testing::HasSubstr("defaults.")));
  const LoadOutcome outcome = RunLoad(*stub, "tiny");
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_EQ(outcome.ready->details().options().context_length(), 4096u);
  EXPECT_EQ(outcome.progress.back().plan().total_bytes(),
            outcome.ready->residency().memory().total_bytes());
  daemon.AddModel("encoder");  // whose texts fit one step
  const LoadOutcome encoder = RunLoad(*stub, "encoder");
  ASSERT_TRUE(encoder.status.ok()) << encoder.status.error_message();
  EXPECT_EQ(encoder.ready->details().options().context_length(), 2048u);
}

TEST(LoadDefaultsTest, ARefusalOfADefaultNamesItsKey) {
  TestDaemon daemon;
  daemon.AddModel("tiny");
  daemon.engine().SetInspectFailure("tiny.gguf", InvalidArgument("q8_0 does not go")
                                                     .WithReason("INVALID_REQUEST")
                                                     .WithDetail("field", "kv_cache_type"));
  const grpc::Status status = RunLoad(*daemon.NewStub(), "tiny").status;
  EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("defaults.kv_cache_type"));
}

TEST_F(LoadModelTest, RefusesStreamsThatDoNotBeginWithStart) {
  {
    grpc::ClientContext context;
    const auto stream = stub_->LoadModel(&context);
    stream->WritesDone();
    EXPECT_ERROR(stream->Finish(), INVALID_ARGUMENT, "INVALID_REQUEST");
  }
  {
    grpc::ClientContext context;
    const auto stream = stub_->LoadModel(&context);
    v1::LoadModelRequest cancel;
    cancel.mutable_cancel();
    stream->Write(cancel);
    EXPECT_ERROR(stream->Finish(), INVALID_ARGUMENT, "INVALID_REQUEST");
  }
}

// A daemon with two places for streams, whose patience is short.
class StalledLoadTest : public ::testing::Test {
 protected:
  // Waits up to five seconds until `n_streams` hold a place.
  bool WaitForStreams(uint32_t n_streams) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (daemon_.context().stream_admission.count() != n_streams) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  TestDaemon daemon_{[](Config& config) {
    config.limits.max_streams = 2;
    config.limits.stalled_reader_timeout = std::chrono::milliseconds(200);
  }};
};

TEST_F(StalledLoadTest, AStreamThatSendsNoStartEnds) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  const auto stub = daemon_.NewStub();
  const auto stream = stub->LoadModel(&context);
  const grpc::Status status = stream->Finish();
  EXPECT_ERROR(status, DEADLINE_EXCEEDED, "START_TOO_SLOW");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("limitMs"), "200");
  EXPECT_TRUE(WaitForStreams(0));
}

TEST_F(StalledLoadTest, AClientThatTakesNothingGivesItsPlaceBackAndTheLoadGoesOn) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // The smallest window that gRPC's own client can be told to give: no message fits.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 5);
  const auto stub = v1::ForgeService::NewStub(
      grpc::CreateCustomChannel(daemon_.target(), grpc::InsecureChannelCredentials(), arguments));
  OpenLoad first(*stub, "tiny");
  OpenLoad second(*stub, "tiny");
  ASSERT_TRUE(WaitForStreams(2));
  EXPECT_TRUE(WaitForStreams(0));
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(RunLoad(*daemon_.NewStub(), "tiny").status.ok());
  EXPECT_EQ(daemon_.engine().n_loads(), 1);
}

TEST_F(StalledLoadTest, AClientThatWaitsForALongLoadIsNotCutOff) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  OpenLoad load(*daemon_.NewStub(), "tiny");
  ASSERT_TRUE(load.ReachesWeights());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(load.End().ok());
}

TEST_F(LoadModelTest, IsRefusedWhileShuttingDown) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  OpenLoad load(*stub_, "tiny");
  ASSERT_TRUE(load.ReachesWeights());
  daemon_.residency().BeginShutdown();
  EXPECT_ERROR(load.End(), UNAVAILABLE, "SHUTTING_DOWN");
  EXPECT_ERROR(RunLoad(*stub_, "tiny").status, UNAVAILABLE, "SHUTTING_DOWN");
}

}  // namespace
}  // namespace forge::testing
