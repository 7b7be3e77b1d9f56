// The HTTP server with real connections and a handler of the tests'.
#include "gateway/http/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "gateway/http/peer_watch.h"

namespace forge::gateway {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

ApiError Error(int http_status, const char* message) {
  ApiError error;
  error.http_status = http_status;
  error.message = message;
  return error;
}

// Answers with the target and the body; "/wait" until the client goes, "/flood" until it breaks.
class EchoHandler final : public HttpHandler {
 public:
  std::optional<ApiError> Check(const HttpRequest& header, Responder&) override {
    if (header.target != "/refused") return std::nullopt;
    return Error(403, "not this one");
  }

  void Handle(const HttpRequest& request, Responder& responder) override {
    if (request.target == "/wait") return WaitForClient(responder);
    if (request.target == "/flood") return Flood(responder);
    if (request.target == "/stream") {
      responder.BeginStream();
      responder.WriteStream("data: 1\n\n");
      responder.WriteStream("data: 2\n\n");
      responder.EndStream();
      return;
    }
    responder.SendJson(200, "{\"" + request.target + "\":\"" + request.body + "\"}");
  }

  // Whether the client of "/wait" or "/flood" was noticed to be gone by then.
  bool WaitUntilGone(milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return n_gone_ > 0; });
  }
  bool WaitUntilBusy(milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return n_busy_ > 0; });
  }

 private:
  void Count(int& counter) {
    const std::lock_guard lock(mutex_);
    ++counter;
    changed_.notify_all();
  }
  void WaitForClient(Responder& responder) {
    const PeerWatch watch(responder.socket(), [this] { Count(n_gone_); });
    Count(n_busy_);
    WaitUntilGone(std::chrono::seconds(20));
    responder.SendError(Error(503, "stopped"));
  }
  void Flood(Responder& responder) {
    responder.BeginStream();
    Count(n_busy_);
    const std::string events(1 << 16, 'x');
    while (responder.WriteStream(events)) {
    }
    Count(n_gone_);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int n_gone_ = 0;
  int n_busy_ = 0;
};

// A client that sends and receives bytes.
class Peer {
 public:
  explicit Peer(const HttpServer& server) : socket_(Connect(server.address().port)) {}
  void Send(const std::string& bytes) { socket_.Write(bytes, milliseconds(1000)); }
  // What comes until `end` is in it, or the connection ends.
  std::string ReceiveUntil(const std::string& end, milliseconds limit = std::chrono::seconds(5)) {
    std::string received;
    char bytes[4096];
    size_t n = 0;
    const auto deadline = Clock::now() + limit;
    while (end.empty() || received.find(end) == std::string::npos) {
      if (socket_.Read(bytes, sizeof(bytes), deadline, n) != Socket::ReadResult::kBytes) break;
      received.append(bytes, n);
    }
    return received;
  }
  std::string ReceiveAll(milliseconds limit = std::chrono::seconds(5)) {
    return ReceiveUntil("", limit);
  }
  void Shutdown(int how) { socket_.Shutdown(how); }

 private:
  static Descriptor Connect(uint16_t port) {
    Descriptor descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    EXPECT_EQ(connect(descriptor.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return descriptor;
  }

  Socket socket_;
};

// The system refuses this process threads while it lives: their stacks are larger than memory.
class NoThreads {
 public:
  NoThreads() {
    pthread_attr_t wanted;
    pthread_getattr_default_np(&before_);
    pthread_getattr_default_np(&wanted);
    EXPECT_EQ(pthread_attr_setstacksize(&wanted, size_t{1} << 48), 0);
    EXPECT_EQ(pthread_setattr_default_np(&wanted), 0);
    pthread_attr_destroy(&wanted);
  }
  ~NoThreads() {
    EXPECT_EQ(pthread_setattr_default_np(&before_), 0);
    pthread_attr_destroy(&before_);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_;
};

std::string Post(const std::string& target, const std::string& body) {
  return "POST " + target + " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class HttpServerTest : public ::testing::Test {
 protected:
  void Start() {
    auto server = HttpServer::Create({"127.0.0.1", 0}, options_, handler_);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
  }
  milliseconds TimeToStop() {
    const auto begin = Clock::now();
    server_->Stop();
    return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  }

  EchoHandler handler_;
  HttpServer::Options options_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersOneRequestAfterAnotherOnAConnection) {
  Start();
  Peer peer(*server_);
  peer.Send(Post("/a", "fox") + Post("/b", "robot"));
  const std::string answers = peer.ReceiveUntil("robot");
  EXPECT_NE(answers.find("HTTP/1.1 200 OK\r\n"), std::string::npos);
  EXPECT_NE(answers.find("{\"/a\":\"fox\"}"), std::string::npos);
  EXPECT_NE(answers.find("Connection: keep-alive"), std::string::npos);
  peer.Send("GET /c HTTP/1.1\r\nConnection: close\r\n\r\n");
  peer.Shutdown(SHUT_WR);
  EXPECT_NE(peer.ReceiveAll().find("Connection: close"), std::string::npos);
}

TEST_F(HttpServerTest, ClosesAConnectionThatGetsNoThreadAndServesTheNext) {
  Start();
  {
    const NoThreads no_threads;
    Peer peer(*server_);
    peer.Send(Post("/a", "fox"));
    EXPECT_EQ(peer.ReceiveAll(), "");
  }
  Peer peer(*server_);
  peer.Send(Post("/a", "fox"));
  EXPECT_NE(peer.ReceiveUntil("fox").find("200 OK"), std::string::npos);
}

TEST(PeerWatchTest, KeepsNoDescriptorWhereItGetsNoThread) {
  const auto next_number = [] { return Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC)).get(); };
  const Socket socket(Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  const int before = next_number();
  {
    const NoThreads no_threads;
    EXPECT_THROW(PeerWatch(socket, [] {}), std::system_error);
  }
  EXPECT_EQ(next_number(), before);
}

TEST_F(HttpServerTest, StreamsInChunksAndToOldClientsWithout) {
  Start();
  Peer peer(*server_);
  peer.Send("GET /stream HTTP/1.1\r\n\r\n");
  EXPECT_NE(peer.ReceiveUntil("\r\n0\r\n\r\n")
                .find("\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"),
            std::string::npos);
  Peer old(*server_);
  old.Send("GET /stream HTTP/1.0\r\n\r\n");
  old.Shutdown(SHUT_WR);
  const std::string answer = old.ReceiveAll();
  EXPECT_TRUE(answer.ends_with("\r\n\r\ndata: 1\n\ndata: 2\n\n")) << answer;
}

TEST_F(HttpServerTest, RefusesBeforeTheBodyIsSent) {
  Start();
  Peer peer(*server_);
  peer.Send("POST /refused HTTP/1.1\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
  const std::string answer = peer.ReceiveUntil("not this one");
  EXPECT_EQ(answer.find("HTTP/1.1 403 Forbidden"), 0u);
}

TEST_F(HttpServerTest, AsksForABodyThatWaitsToBeAskedFor) {
  Start();
  Peer peer(*server_);
  peer.Send("POST /a HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(peer.ReceiveUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.Send("fox");
  EXPECT_NE(peer.ReceiveUntil("fox").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, GivesTheReasonForABodyThatIsTooLargeToOneWhoSendsIt) {
  options_.limits.request.body_bytes = 1000;
  Start();
  Peer peer(*server_);
  peer.Send(Post("/a", std::string(1 << 20, 'x')));
  EXPECT_NE(peer.ReceiveUntil("1000 bytes").find("413 Content Too Large"), std::string::npos);
}

TEST_F(HttpServerTest, DoesNotWaitForSlowSenders) {
  options_.limits.header_timeout = options_.limits.body_timeout = milliseconds(100);
  options_.limits.idle_timeout = milliseconds(100);
  options_.limits.linger = milliseconds(50);
  Start();
  Peer slow_header(*server_), slow_body(*server_), idle(*server_);
  slow_header.Send("GET / HT");
  slow_body.Send("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nfo");
  EXPECT_NE(slow_header.ReceiveAll().find("408 Request Timeout"), std::string::npos);
  EXPECT_NE(slow_body.ReceiveAll().find("the body of the request"), std::string::npos);
  EXPECT_EQ(idle.ReceiveAll(), "");
}

TEST_F(HttpServerTest, ASenderThatDripsHoldsUpNobodyAndEndsInTime) {
  options_.limits.header_timeout = milliseconds(300);
  options_.limits.linger = milliseconds(50);
  Start();
  Peer dripping(*server_);
  const auto begin = Clock::now();
  std::string answer;
  for (int i = 0; i < 200 && answer.empty(); ++i) {
    dripping.Send("G");
    Peer other(*server_);
    other.Send("GET /a HTTP/1.1\r\n\r\n");
    ASSERT_NE(other.ReceiveUntil("/a").find("200 OK"), std::string::npos);
    answer = dripping.ReceiveUntil("}", milliseconds(20));
  }
  EXPECT_NE(answer.find("408 Request Timeout"), std::string::npos);
  EXPECT_LT(Clock::now() - begin, milliseconds(3000));
}

TEST_F(HttpServerTest, LineBreaksBetweenRequestsKeepNoConnectionOpen) {
  options_.limits.header_timeout = milliseconds(300);
  options_.limits.idle_timeout = std::chrono::seconds(60);
  Start();
  Peer peer(*server_);
  peer.Send(Post("/a", "fox") + "\r\n" + Post("/b", "robot") + "\r\n");
  EXPECT_NE(peer.ReceiveUntil("robot").find("robot"), std::string::npos);
  const auto begin = Clock::now();
  std::thread dripping([&] {
    for (int i = 0; i < 20; ++i) {
      peer.Send("\r\n");
      std::this_thread::sleep_for(milliseconds(100));
    }
  });
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_LT(Clock::now() - begin, milliseconds(1500));
  dripping.join();
}

TEST_F(HttpServerTest, GivesUpOnAClientThatDoesNotRead) {
  options_.limits.stall_timeout = milliseconds(100);
  Start();
  Peer peer(*server_);
  peer.Send("GET /flood HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(handler_.WaitUntilGone(milliseconds(5000)));
}

TEST_F(HttpServerTest, NoticesAClientThatLeavesWhileItWaits) {
  Start();
  {
    Peer peer(*server_);
    peer.Send("GET /wait HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(handler_.WaitUntilBusy(milliseconds(5000)));
    EXPECT_FALSE(handler_.WaitUntilGone(milliseconds(50)));
  }
  EXPECT_TRUE(handler_.WaitUntilGone(milliseconds(1000)));
}

TEST_F(HttpServerTest, TellsConnectionsPastTheLimitAndServesAgainWhenOneEnds) {
  options_.max_connections = 2;
  options_.limits.linger = milliseconds(50);
  Start();
  Peer first(*server_);
  auto second = std::make_unique<Peer>(*server_);
  for (Peer* peer : {&first, second.get()}) {
    peer->Send("GET /a HTTP/1.1\r\n\r\n");
    peer->ReceiveUntil("/a");
  }
  Peer third(*server_);
  third.Send("GET /a HTTP/1.1\r\n\r\n");
  const std::string refusal = third.ReceiveAll();
  EXPECT_EQ(refusal.find("HTTP/1.1 503"), 0u);
  EXPECT_NE(refusal.find("Retry-After: 1"), std::string::npos);
  EXPECT_NE(refusal.find("--max-connections"), std::string::npos);
  second.reset();
  std::string answer;
  for (int i = 0; i < 100 && answer.find("200 OK") == std::string::npos; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    Peer peer(*server_);
    peer.Send("GET /a HTTP/1.1\r\n\r\n");
    answer = peer.ReceiveUntil("}", milliseconds(1000));
  }
  EXPECT_NE(answer.find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, StopsWithinAMomentAndSaysSoToThoseWhoWait) {
  Start();
  Peer idle(*server_), half(*server_), waiting(*server_);
  half.Send("GET / HT");
  waiting.Send("GET /wait HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(handler_.WaitUntilBusy(milliseconds(5000)));
  EXPECT_LT(TimeToStop(), milliseconds(900));
  EXPECT_NE(waiting.ReceiveAll().find("stopped"), std::string::npos);
}

TEST_F(HttpServerTest, CutsAnAnswerThatNobodyReadsWhenItStops) {
  Start();
  Peer peer(*server_);
  peer.Send("GET /flood HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(handler_.WaitUntilBusy(milliseconds(5000)));
  EXPECT_LT(TimeToStop(), milliseconds(3000));
}

TEST_F(HttpServerTest, SaysThatAnotherProgramHasThePort) {
  Start();
  const auto second = HttpServer::Create(server_->address(), options_, handler_);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("another program has the port"), std::string::npos);
}

}  // namespace
}  // namespace forge::gateway
