#pragma once

#include <forge/v1/forge.grpc.pb.h>
#include <google/rpc/error_details.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "daemon/residency/state_store.h"
#include "daemon/rpc/server.h"
#include "tests/daemon/fake_engine.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {

// Everything of the daemon but its main, around a FakeEngine or another one, on a Unix socket.
class TestDaemon {
 public:
  // `prepare` is called before anybody knows the engine.
  explicit TestDaemon(const std::function<void(Config&)>& configure = {},
                      const std::function<void(FakeEngine&)>& prepare = {},
                      std::unique_ptr<Engine> other_engine = nullptr);
  ~TestDaemon();

  std::string target() const { return server_->address().ToString(); }
  // A connection of its own, so that its end is the end of the client.
  std::shared_ptr<grpc::Channel> NewChannel() const;
  std::unique_ptr<v1::ForgeService::Stub> NewStub() const;

  FakeEngine& engine() { return engine_; }
  const TempDirectory& directory() const { return directory_; }
  Server& server() { return *server_; }
  ServiceContext& context() { return *context_; }
  Residency& residency() { return *residency_; }

  // Creates models/NAME.gguf.
  std::filesystem::path AddModel(const std::string& name, size_t size_bytes = 1000) const;
  // Loads a model over gRPC.
  void LoadModel(const std::string& name) const;

 private:
  void SweepCalls();

  TempDirectory directory_;
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  FakeEngine engine_;
  const std::unique_ptr<Engine> other_engine_;  // in its place; may be null
  Config config_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> io_work_;
  boost::asio::steady_timer sweep_timer_;
  std::optional<Catalogue> catalogue_;
  std::optional<StateStore> state_;
  std::optional<Residency> residency_;
  std::optional<ServiceContext> context_;
  std::unique_ptr<Server> server_;
  std::thread io_thread_;
};

// The one ErrorInfo of an error; fails the test if there is none or more than one.
google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status);
// The detail of type T, if there is one.
template <typename T>
std::optional<T> DetailOf(const grpc::Status& status);

// One call of LoadModel to its end.
struct LoadOutcome {
  std::vector<v1::LoadModelResponse::Progress> progress;
  std::optional<v1::Model> ready;
  grpc::Status status;
};
LoadOutcome RunLoad(v1::ForgeService::Stub& stub, const std::string& model,
                    const v1::LoadOptions& options = {});

using GenerateStreamClient = grpc::ClientReaderWriter<v1::GenerateRequest, v1::GenerateResponse>;

// One turn of Generate to its Finished, or to the end of the stream.
struct TurnOutcome {
  std::string text;
  std::vector<v1::GenerateResponse::Token> tokens;
  std::optional<v1::GenerateResponse::Finished> finished;
};
TurnOutcome ReadTurn(GenerateStreamClient& stream);
v1::GenerateRequest TextTurn(const std::string& model, const std::string& text);
v1::GenerateRequest CancelTurn();

}  // namespace forge::testing

#define EXPECT_ERROR(status, code, expected_reason)                                             \
  do {                                                                                          \
    const grpc::Status& seen_status = (status);                                                 \
    EXPECT_EQ(seen_status.error_code(), grpc::StatusCode::code) << seen_status.error_message(); \
    EXPECT_EQ(::forge::testing::ErrorInfoOf(seen_status).reason(), (expected_reason))           \
        << seen_status.error_message();                                                         \
  } while (false)
