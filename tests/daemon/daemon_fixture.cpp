#include "tests/daemon/daemon_fixture.h"

#include <google/rpc/status.pb.h>

#include <atomic>
#include <future>

#include "daemon/residency/asio_handlers.h"

namespace forge::testing {

TestDaemon::TestDaemon(const std::function<void(Config&)>& configure,
                       const std::function<void(FakeEngine&)>& prepare,
                       std::unique_ptr<Engine> other_engine)
    : other_engine_(std::move(other_engine)),
      io_work_(boost::asio::make_work_guard(io_)),
      sweep_timer_(io_) {
  std::filesystem::create_directories(directory_.path() / "models");
  config_.listen.path = (directory_.path() / "forge.sock").string();
  config_.model_directories = {(directory_.path() / "models").string()};
  config_.residency.load_on_demand = false;  // a test says when it loads
  config_.residency.low_water_bytes = config_.residency.high_water_bytes = 0;
  if (configure) configure(config_);
  if (prepare) prepare(engine_);
  catalogue_.emplace(config_.model_directories);
  Residency::Options options;
  options.load_defaults = {config_.default_device, config_.load_defaults};
  options.load_deadline = config_.limits.load_deadline;
  options.settings.min_residence = config_.residency.min_residence;
  options.settings.patience = config_.residency.patience;
  options.settings.low_water_bytes = config_.residency.low_water_bytes;
  options.settings.high_water_bytes = config_.residency.high_water_bytes;
  if (const auto directory = StateDirectory(config_, nullptr)) {
    state_.emplace(*directory);
    options.state = &*state_;
  }
  Engine& engine = other_engine_ != nullptr ? *other_engine_ : engine_;
  residency_.emplace(engine, *catalogue_, std::move(options), io_, log_);
  context_.emplace(engine, *residency_, config_, "1.2.3", log_);
  Result<std::unique_ptr<Server>> server = Server::Start(*context_, io_);
  FORGE_CHECK(server.ok(), server.status().message());
  server_ = *std::move(server);
  SweepCalls();
  io_thread_ = std::thread([this] { RunHandlers(io_, "the test", log_); });
}

TestDaemon::~TestDaemon() {
  engine_.ReleaseLoads();
  std::promise<void> closed;
  boost::asio::post(io_, [this, &closed] {
    server_->CloseListener();
    closed.set_value();
  });
  closed.get_future().wait();
  context_->running_calls.BeginDrain();
  residency_->BeginShutdown();
  server_->Shutdown(std::chrono::milliseconds(200));
  residency_->Stop();
  context_->Join();
  io_.stop();
  io_thread_.join();
}

void TestDaemon::SweepCalls() {
  UntilMemory([this] { context_->running_calls.Sweep(std::chrono::steady_clock::now()); });
  sweep_timer_.expires_after(std::chrono::milliseconds(20));
  UntilMemory([this] {
    sweep_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) SweepCalls();
    });
  });
}

std::shared_ptr<grpc::Channel> TestDaemon::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target(), grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<v1::ForgeService::Stub> TestDaemon::NewStub() const {
  return v1::ForgeService::NewStub(NewChannel());
}

std::filesystem::path TestDaemon::AddModel(const std::string& name, size_t size_bytes) const {
  return directory_.WriteFile(std::string("models/").append(name).append(".gguf"),
                              std::string("GGUF").append(size_bytes - 4, 'x'));
}

void TestDaemon::LoadModel(const std::string& name) const {
  const auto stub = NewStub();
  const LoadOutcome outcome = RunLoad(*stub, name);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
}

template <typename T>
std::optional<T> DetailOf(const grpc::Status& status) {
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) return std::nullopt;
  for (const google::protobuf::Any& detail : wire.details()) {
    T message;
    if (detail.UnpackTo(&message)) return message;
  }
  return std::nullopt;
}
template std::optional<google::rpc::RetryInfo> DetailOf(const grpc::Status& status);
template std::optional<google::rpc::BadRequest> DetailOf(const grpc::Status& status);

google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status) {
  google::rpc::Status wire;
  google::rpc::ErrorInfo found;
  EXPECT_TRUE(wire.ParseFromString(status.error_details()));
  int count = 0;
  for (const google::protobuf::Any& detail : wire.details()) {
    if (detail.UnpackTo(&found)) ++count;
  }
  EXPECT_EQ(count, 1) << "an error carries exactly one ErrorInfo: " << status.error_message();
  return found;
}

LoadOutcome RunLoad(v1::ForgeService::Stub& stub, const std::string& model,
                    const v1::LoadOptions& options) {
  grpc::ClientContext context;
  const auto stream = stub.LoadModel(&context);
  v1::LoadModelRequest request;
  request.mutable_start()->set_model(model);
  *request.mutable_start()->mutable_options() = options;
  stream->Write(request);
  stream->WritesDone();
  LoadOutcome outcome;
  v1::LoadModelResponse response;
  while (stream->Read(&response)) {
    if (response.has_progress()) outcome.progress.push_back(response.progress());
    if (response.has_ready()) outcome.ready = response.ready();
  }
  outcome.status = stream->Finish();
  return outcome;
}

TurnOutcome ReadTurn(GenerateStreamClient& stream) {
  TurnOutcome outcome;
  v1::GenerateResponse response;
  while (!outcome.finished && stream.Read(&response)) {
    if (response.has_token()) {
      outcome.text += response.token().text();
      outcome.tokens.push_back(response.token());
    }
    if (response.has_finished()) outcome.finished = response.finished();
  }
  return outcome;
}

v1::GenerateRequest TextTurn(const std::string& model, const std::string& text) {
  v1::GenerateRequest request;
  request.mutable_turn()->set_model(model);
  request.mutable_turn()->mutable_text()->set_text(text);
  return request;
}

v1::GenerateRequest CancelTurn() {
  v1::GenerateRequest request;
  request.mutable_cancel();
  return request;
}

}  // namespace forge::testing
