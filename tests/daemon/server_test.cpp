#include <gmock/gmock.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

// Calls a method by name with raw bytes, as a client without generated code would.
grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request_bytes, std::string* response_bytes = nullptr) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request_bytes);
  const grpc::ByteBuffer request(&slice, 1);
  const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (response_bytes != nullptr && status.ok()) {
    grpc::Slice whole;
    EXPECT_TRUE(response.DumpToSingleSlice(&whole).ok());
    response_bytes->assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  }
  return status;
}

// The status of a stream whose only message has these bytes.
grpc::Status RawStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                       const std::string& request_bytes) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  const grpc::Slice slice(request_bytes);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer response;
  do {
    call->Read(&response, nullptr);
    queue.Next(&tag, &ok);
  } while (ok);
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return status;
}

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
// Field 1 (status) of HealthCheckResponse: 1 is SERVING, 2 NOT_SERVING.
constexpr char kServing[] = "\x08\x01";
constexpr char kNotServing[] = "\x08\x02";

TEST(ServerTest, AnswersHealthForTheServerAndTheService) {
  TestDaemon daemon;
  const auto channel = daemon.NewChannel();
  const std::string service = "forge.v1.ForgeService";
  std::string named = "\x0a";
  named += static_cast<char>(service.size());
  named += service;
  std::string response;
  ASSERT_TRUE(RawCall(channel, kHealthCheck, "", &response).ok());
  EXPECT_EQ(response, kServing);
  ASSERT_TRUE(RawCall(channel, kHealthCheck, named, &response).ok());
  EXPECT_EQ(response, kServing);
  EXPECT_EQ(RawCall(channel, kHealthCheck, "\x0a\x01x").error_code(), grpc::StatusCode::NOT_FOUND);
  daemon.server().SetServing(false);
  ASSERT_TRUE(RawCall(channel, kHealthCheck, named, &response).ok());
  EXPECT_EQ(response, kNotServing);
}

TEST(ServerTest, ReflectionCanBeSwitchedOff) {
  TestDaemon without([](Config& config) { config.reflection = false; });
  EXPECT_EQ(RawCall(without.NewChannel(), kReflection, "").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  TestDaemon with;
  EXPECT_NE(RawCall(with.NewChannel(), kReflection, "").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST(ServerTest, AStreamWhoseMessageCannotBeParsedEndsWithAnError) {
  TestDaemon daemon;
  const auto channel = daemon.NewChannel();
  // Field 1 of the request, which is a message whose field 1, the model's name, is no UTF-8.
  const std::string no_utf8 = "\x0a\x04\x0a\x02\xff\xfe";
  // A field that is longer than the message.
  const std::string cut_short = "\x0a\x7f";
  for (const std::string& bytes : {no_utf8, cut_short}) {
    for (const char* method : {"Generate", "LoadModel"}) {
      const grpc::Status status =
          RawStream(channel, std::string("/forge.v1.ForgeService/") + method, bytes);
      EXPECT_ERROR(status, INVALID_ARGUMENT, "INVALID_REQUEST");
      EXPECT_THAT(status.error_message(), ::testing::HasSubstr("UTF-8")) << method;
    }
  }
}

TEST(ServerTest, AConversationThatEndsBeforeItsFirstTurnIsNoError) {
  TestDaemon daemon;
  grpc::ClientContext context;
  const auto stream = daemon.NewStub()->Generate(&context);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ServerTest, SocketHasTheConfiguredMode) {
  TestDaemon daemon([](Config& config) { config.socket_mode = 0600; });
  struct stat info = {};
  ASSERT_EQ(::stat((daemon.directory().path() / "forge.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(ServerTest, ServesOnALoopbackPortThatTheSystemChose) {
  TestDaemon daemon([](Config& config) {
    config.listen = {ListenAddress::Kind::kTcp, {}, "127.0.0.1", 0};
  });
  EXPECT_THAT(daemon.target(), ::testing::Not(::testing::EndsWith(":0")));
  grpc::ClientContext context;
  v1::GetServerInfoResponse response;
  EXPECT_TRUE(daemon.NewStub()->GetServerInfo(&context, {}, &response).ok());
}

TEST(ServerTest, RefusesMessagesPastTheLimit) {
  TestDaemon daemon([](Config& config) { config.limits.max_message_bytes = 64 << 10; });
  grpc::ClientContext context;
  v1::TokenizeRequest request;
  request.set_text(std::string(65 << 10, 'a'));
  v1::TokenizeResponse response;
  EXPECT_EQ(daemon.NewStub()->Tokenize(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(ServerTest, AcceptsAgainAfterTheProcessRanOutOfDescriptors) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "without descriptors UBSan cannot look at objects, and takes them for invalid";
#endif
  TestDaemon daemon;
  rlimit original = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &original), 0);
  // Connections made before the limit falls; the server's side of them does not fit below it.
  std::vector<int> sockets;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = daemon.directory().path() / "forge.sock";
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  for (int i = 0; i < 50; ++i) sockets.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit low = original;
  low.rlim_cur = static_cast<rlim_t>(sockets.back()) + 10;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  for (const int socket : sockets) {
    ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  for (const int socket : sockets) ::close(socket);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &original), 0);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  context.set_wait_for_ready(true);
  v1::GetServerInfoResponse response;
  EXPECT_TRUE(daemon.NewStub()->GetServerInfo(&context, {}, &response).ok());
}

}  // namespace
}  // namespace forge::testing
