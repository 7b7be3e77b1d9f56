#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "daemon/telemetry/metrics_server.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/daemon/failing_allocations.h"
#include "tests/daemon/generate_fixture.h"
#include "tests/support/tiny_model.h"

// The whole service while the host's memory ends at any allocation of the daemon's own: every call
// ends, the daemon goes on, and its books are what they were.
namespace forge::testing {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// Long enough that only a call without an end takes it.
constexpr seconds kPatience(10);

struct Call {
  Call() { context.set_deadline(std::chrono::system_clock::now() + kPatience); }
  grpc::ClientContext context;
};

bool WaitUntil(const std::function<bool()>& condition) {
  const auto deadline = steady_clock::now() + seconds(5);
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

template <typename Stream>
grpc::Status ReadToEnd(Stream& stream, auto& response) {
  while (stream.Read(&response)) continue;
  return stream.Finish();
}

class ServiceMemoryTest : public ::testing::Test {
 protected:
  static void Configure(Config& config) {
    config.load_defaults.context_length = 64;
    config.load_defaults.max_sequences = 1;
    config.residency.min_residence = std::chrono::milliseconds(0);
    config.residency.load_on_demand = true;
  }
  explicit ServiceMemoryTest(std::unique_ptr<Engine> engine = nullptr)
      : daemon_(Configure, {}, std::move(engine)) {
    ExemptThread();
  }
  ~ServiceMemoryTest() override { ExemptThread(false); }

  // ---- One call each. It has ended with OK, or says why not.
  void Check(std::string_view what, const grpc::Status& status) {
    if (status.ok()) return;
    ++n_errors_;
    const std::string reason = ErrorInfoOf(status).reason();
    if (reason == "HOST_MEMORY_EXHAUSTED") ++n_without_memory_;
    EXPECT_NE(status.error_code(), grpc::DEADLINE_EXCEEDED) << what << " does not end";
    EXPECT_FALSE(status.error_message().empty()) << what;
  }
  static void ExpectOk(const grpc::Status& status) {
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  grpc::Status Load(const std::string& model) {
    Call call;
    const auto stream = stub_->LoadModel(&call.context);
    v1::LoadModelRequest request;
    request.mutable_start()->set_model(model);
    stream->Write(request);
    stream->WritesDone();
    v1::LoadModelResponse response;
    return ReadToEnd(*stream, response);
  }
  grpc::Status Unload(const std::string& model) {
    Call call;
    v1::UnloadModelRequest request;
    request.set_model(model);
    v1::UnloadModelResponse response;
    return stub_->UnloadModel(&call.context, request, &response);
  }
  grpc::Status Generate(const std::string& model, std::string* text = nullptr) {
    Call call;
    const auto stream = stub_->Generate(&call.context);
    v1::GenerateRequest request = TextTurn(model, "hello");
    request.mutable_turn()->set_max_tokens(3);
    request.mutable_turn()->mutable_sampling()->set_temperature(0.0f);
    request.mutable_turn()->set_top_logprobs(2);
    stream->Write(request);
    stream->WritesDone();
    v1::GenerateResponse response;
    while (stream->Read(&response))
      if (text != nullptr) text->append(response.token().text());
    return stream->Finish();
  }
  grpc::Status Plan(const std::string& model, v1::PlanModelResponse& response) {
    Call call;
    v1::PlanModelRequest request;
    request.set_model(model);
    return stub_->PlanModel(&call.context, request, &response);
  }
  void RunUnaryCalls(const std::string& model) {
    v1::PlanModelResponse plan;
    Check("PlanModel", Plan(model, plan));
    const auto run = [&](const char* what, auto request, auto response, auto method) {
      Call call;
      Check(what, (stub_.get()->*method)(&call.context, request, &response));
    };
    using Stub = v1::ForgeService::Stub;
    v1::TokenizeRequest text;
    text.set_model(model);
    text.set_text("hello");
    run("Tokenize", text, v1::TokenizeResponse(), &Stub::Tokenize);
    v1::GetModelRequest get;
    get.set_model(model);
    run("GetModel", get, v1::GetModelResponse(), &Stub::GetModel);
    run("ListModels", v1::ListModelsRequest(), v1::ListModelsResponse(), &Stub::ListModels);
    run("GetMemory", v1::GetMemoryRequest(), v1::GetMemoryResponse(), &Stub::GetMemory);
    v1::PinModelRequest pin;
    pin.set_model(model);
    run("PinModel", pin, v1::PinModelResponse(), &Stub::PinModel);
  }
  void RunReadings(const std::string& model) {
    {
      Call call;
      v1::ScoreRequest request;
      request.set_model(model);
      request.mutable_input()->mutable_text()->set_text("hello");
      v1::ScoreResponse response;
      Check("Score", ReadToEnd(*stub_->Score(&call.context, request), response));
    }
    Call call;
    v1::EmbedRequest request;
    request.set_model(model);
    request.add_inputs()->mutable_text()->set_text("hello");
    v1::EmbedResponse response;
    Check("Embed", ReadToEnd(*stub_->Embed(&call.context, request), response));
  }

  // Does `work` while somebody follows the events and the memory, with each `stride`-th allocation
  // failing in turn, and `check` after each.
  void FailEach(int64_t stride, const std::function<void()>& work,
                const std::function<void()>& check) {
    work();  // what is made once is made by now
    check();
    ASSERT_EQ(n_errors_, 0);
    int64_t n_failed = 0;
    for (int64_t n = 1; !HasFailure(); n += stride) {
      FailingAllocation failing(n);
      RunFollowed(work);
      if (!failing.has_failed()) break;
      ++n_failed;
      ExpectNothingLeft();
      check();
      EXPECT_FALSE(HasFailure()) << "after allocation " << n << " failed in\n" << failing.Place();
    }
    RecordProperty("failed", static_cast<int>(n_failed));
    EXPECT_GT(n_failed, 100);
    EXPECT_GT(n_without_memory_, n_failed / 4);
  }

  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
  int n_errors_ = 0, n_without_memory_ = 0;

 private:
  void RunFollowed(const std::function<void()>& work) {
    Call events_call, memory_call;
    v1::WatchEventsRequest request;
    request.set_follow(true);
    request.set_newest_count(1);
    const auto events = stub_->WatchEvents(&events_call.context, request);
    const auto memory = stub_->WatchMemory(&memory_call.context, v1::WatchMemoryRequest());
    work();
    events_call.context.TryCancel();
    memory_call.context.TryCancel();
    const auto check = [&](std::string_view what, const grpc::Status& status) {
      // What the client cancelled has no reason.
      if (status.error_code() != grpc::CANCELLED) Check(what, status);
    };
    v1::WatchEventsResponse event;
    check("WatchEvents", ReadToEnd(*events, event));
    v1::WatchMemoryResponse reading;
    check("WatchMemory", ReadToEnd(*memory, reading));
  }
  // No call has a place, no load runs.
  void ExpectNothingLeft() {
    const ServiceContext& service = daemon_.context();
    EXPECT_TRUE(WaitUntil([&] { return service.stream_admission.count() == 0; }));
    EXPECT_TRUE(WaitUntil([&] { return service.unary_admission.count() == 0; }));
    EXPECT_TRUE(WaitUntil([&] { return !daemon_.residency().busy(); }));
  }
};

std::unique_ptr<Engine> RealEngine() {
  EngineOptions options;
  options.devices.push_back(CreateCpuDevice({.n_threads = 1}).value());
  return Engine::Create(std::move(options)).value();
}

class RealServiceMemoryTest : public ServiceMemoryTest {
 protected:
  RealServiceMemoryTest() : ServiceMemoryTest(RealEngine()) {
    daemon_.directory().WriteFile("models/tiny.gguf", MakeTinyModel({}).Build());
  }
};

TEST_F(RealServiceMemoryTest, WhereverTheMemoryEndsCallsEndAndTheNextOnesWork) {
  const Engine& engine = daemon_.context().engine;
  std::string expected;
  const auto work = [&] {
    Check("LoadModel", Load("tiny"));
    Check("Generate", Generate("tiny"));
    RunUnaryCalls("tiny");
    RunReadings("tiny");
    Check("UnloadModel", Unload("tiny"));
  };
  const auto check = [&] {
    static_cast<void>(Unload("tiny"));  // where that was what failed
    EXPECT_TRUE(WaitUntil([&] { return engine.Memory().front().reserved_bytes == 0; }));
    EXPECT_TRUE(WaitUntil([&] { return engine.Memory().front().allocations == 0; }));
    EXPECT_TRUE(engine.ListModels().empty());
    ExpectOk(Load("tiny"));
    std::string text;
    ExpectOk(Generate("tiny", &text));
    if (expected.empty()) expected = text;
    EXPECT_EQ(text, expected);
    EXPECT_TRUE(engine.ListModels().size() == 1 && engine.ListModels().front().sequences.empty());
    ExpectOk(Unload("tiny"));
  };
  FailEach(/*stride=*/29, work, check);
}

// Two models of which one has to go for the other, loaded on demand, and a load that is joined.
TEST_F(ServiceMemoryTest, WhereverTheMemoryEndsTheBooksAreAsBefore) {
  daemon_.AddModel("a", 1000);
  daemon_.AddModel("b", 1000);
  daemon_.engine().SetBudgetBytes(120 << 10);
  daemon_.engine().SetTokenDelay(std::chrono::microseconds(10));
  const auto work = [&] {
    grpc::Status joined;
    std::thread other([&] {
      ExemptThread();
      joined = Load("a");  // joins, or is joined
    });
    Check("Generate", Generate("a"));
    other.join();
    Check("LoadModel", joined);
    Check("Generate", Generate("b"));
    RunUnaryCalls("b");
    RunReadings("b");
    Check("UnloadModel", Unload("b"));
  };
  v1::PlanModelResponse expected;
  const auto check = [&] {
    for (const char* model : {"a", "b"}) static_cast<void>(Unload(model));
    EXPECT_TRUE(WaitUntil([&] { return daemon_.engine().reserved_bytes() == 0; }));
    v1::PlanModelResponse plan;
    ExpectOk(Plan("a", plan));
    if (expected.reason().empty()) expected = plan;
    EXPECT_EQ(plan.SerializeAsString(), expected.SerializeAsString());
    // By name, which a cool-down is no obstacle to.
    ExpectOk(Load("a"));
    ExpectOk(Generate("a"));
    ExpectOk(Load("b"));
    ExpectOk(Unload("b"));
    EXPECT_EQ(daemon_.engine().n_sessions(), 0u);
  };
  FailEach(/*stride=*/1, work, check);
}

TEST(MetricsServerMemoryTest, AConnectionThatFindsNoMemoryIsClosed) {
  spdlog::logger log("test", std::make_shared<spdlog::sinks::null_sink_mt>());
  MetricsServer server([] { return std::string("page"); }, log);
  int n_failed = 0;
  for (int64_t n = 1;; ++n) {
    int sockets[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    bool is_served = true;
    {
      FailingAllocation failing(n);
      try {
        server.Serve(Descriptor(sockets[0]));
      } catch (const std::bad_alloc&) {
        is_served = false;
      }
    }
    EXPECT_TRUE(is_served || ::fcntl(sockets[0], F_GETFD) < 0) << "allocation " << n;
    ::close(sockets[1]);
    if (is_served) break;
    ++n_failed;
  }
  EXPECT_GT(n_failed, 1);
}

}  // namespace
}  // namespace forge::testing
