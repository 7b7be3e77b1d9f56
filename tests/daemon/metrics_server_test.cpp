#include "daemon/telemetry/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/sinks/null_sink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <thread>

#include "daemon/rpc/listener.h"

namespace forge::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kPatience{10'000};

// A TCP client that says what a test says.
class Client {
 public:
  explicit Client(uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int connected =
        ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    EXPECT_EQ(connected, 0);
  }
  ~Client() { ::close(descriptor_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // False once the other side is gone.
  bool Send(std::string_view bytes) {
    return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // Everything until the other side closes; nullopt if it does not within `patience`.
  std::optional<std::string> ReadAll(milliseconds patience = kPatience) {
    const auto deadline = Clock::now() + patience;
    std::string all;
    for (char part[4096];;) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
      pollfd wait = {descriptor_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) != 1)
        return std::nullopt;
      const ssize_t n_read = ::recv(descriptor_, part, sizeof(part), 0);
      if (n_read <= 0) return all;
      all.append(part, static_cast<size_t>(n_read));
    }
  }

 private:
  const int descriptor_;
};

// A server of a page behind a port of its own.
class MetricsServerTest : public ::testing::Test {
 protected:
  explicit MetricsServerTest(MetricsServer::Limits limits = ShortLimits())
      : server_([this] { return Render(); }, log_, limits) {
    ListenAddress address{ListenAddress::Kind::kTcp, {}, "127.0.0.1", 0};
    auto listener = Listener::Start(
        address, 0600, io_, [this](Descriptor connected) { server_.Serve(std::move(connected)); });
    FORGE_CHECK(listener.ok(), listener.status().message());
    listener_ = *std::move(listener);
    io_thread_ = std::thread([this] { io_.run(); });
  }
  ~MetricsServerTest() override {
    io_.stop();
    io_thread_.join();
  }

  static MetricsServer::Limits ShortLimits() {
    MetricsServer::Limits limits;
    limits.n_connections = 4;
    limits.request_timeout = milliseconds(500);
    limits.answer_timeout = milliseconds(500);
    limits.page_age = milliseconds(0);
    return limits;
  }

  std::string Render() {
    ++n_pages_;
    if (is_failing_) throw std::bad_alloc();
    return page_;
  }
  uint16_t port() const { return listener_->address().port; }
  std::string Ask(const std::string& request) {
    Client client(port());
    client.Send(request);  // the other side may be gone before all of it is sent
    return client.ReadAll().value_or("no end");
  }
  std::string Get(const std::string& target) {
    return Ask("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  bool Answers() { return Get("/metrics").starts_with("HTTP/1.1 200 "); }

  std::string page_ = "# HELP forge_x x\n";
  std::atomic<bool> is_failing_ = false;
  std::atomic<int> n_pages_ = 0;
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  MetricsServer server_;
  boost::asio::io_context io_{1};
  std::unique_ptr<Listener> listener_;
  std::thread io_thread_;
};

TEST_F(MetricsServerTest, AnswersWithThePageAndCloses) {
  const std::string answer = Get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 17\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n" + page_));
  EXPECT_THAT(Get("/metrics?collect=all"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, AnswersHeadWithoutThePage) {
  const std::string answer = Ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 17\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(MetricsServerTest, KnowsNoOtherPathsAndMethods) {
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get("/metrics/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get("http://localhost/metrics"), StartsWith("HTTP/1.1 404 "));
  const std::string post = Ask("POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(post, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_EQ(n_pages_, 0);
}

// A browser that was told that some web site is this machine sends the site's name.
TEST_F(MetricsServerTest, AnswersLoopbackHostsOnly) {
  for (const char* host : {"localhost", "LocalHost:9464", "127.0.0.1", "127.8.8.8:1", "[::1]:9464"})
    EXPECT_THAT(Ask(std::string("GET /metrics HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"),
                StartsWith("HTTP/1.1 200 "))
        << host;
  for (const char* host :
       {"example.org", "127.0.0.1.example.org:9464", "192.168.1.7", "[::2]", "[", ":"})
    EXPECT_THAT(Ask(std::string("GET /metrics HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"),
                StartsWith("HTTP/1.1 421 "))
        << host;
  EXPECT_THAT(Ask("GET /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /metrics HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, RefusesWhatIsNotHttpAndWhatIsTooLong) {
  EXPECT_THAT(Ask("\x16\x03\x01 hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  const std::string many(100'000, 'x');
  EXPECT_THAT(Ask("GET /" + many + " HTTP/1.1\r\nHost: localhost\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + many + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_TRUE(Answers());
}

TEST_F(MetricsServerTest, AnswersARequestThatSaysItsBodyIsEmpty) {
  for (const char* method : {"GET", "HEAD"})
    EXPECT_THAT(Ask(std::string(method) +
                    " /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
                StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, ReadsNoBodyHoweverLongItIs) {
  Client client(port());
  client.Send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n");
  const std::string chunk(64 << 10, 'x');
  std::thread sender([&] {
    while (client.Send(chunk)) continue;
  });
  EXPECT_THAT(client.ReadAll().value_or("no end"), StartsWith("HTTP/1.1 400 "));
  sender.join();
}

TEST_F(MetricsServerTest, CutsOffAClientThatSendsNothingOrNeverEnds) {
  Client silent(port()), slow(port());
  const auto start = Clock::now();
  std::thread dripping([&] {
    for (int i = 0; i < 200 && slow.Send("X"); ++i) std::this_thread::sleep_for(milliseconds(50));
  });
  EXPECT_TRUE(Answers());  // nobody waits for them
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_TRUE(slow.ReadAll());
  EXPECT_LT(Clock::now() - start, milliseconds(3000));
  dripping.join();
}

TEST_F(MetricsServerTest, CutsOffAClientThatDoesNotTakeItsAnswer) {
  page_ = std::string(64 << 20, 'x');
  Client lazy(port());
  lazy.Send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto start = Clock::now();
  EXPECT_THAT(Get("/nothing"), StartsWith("HTTP/1.1 404 "));  // nobody waits for it
  std::this_thread::sleep_for(milliseconds(1000));
  const std::optional<std::string> got = lazy.ReadAll();
  ASSERT_TRUE(got);
  EXPECT_LT(got->size(), page_.size());
  EXPECT_LT(Clock::now() - start, milliseconds(5000));
}

TEST_F(MetricsServerTest, GoesOnWhereAPageCannotBeMade) {
  is_failing_ = true;
  EXPECT_THAT(Get("/metrics"), StartsWith("HTTP/1.1 500 "));
  is_failing_ = false;
  EXPECT_TRUE(Answers());
}

class LazyMetricsServerTest : public MetricsServerTest {
 protected:
  LazyMetricsServerTest() : MetricsServerTest(Lasting()) {}
  static MetricsServer::Limits Lasting() {
    MetricsServer::Limits limits;
    limits.n_connections = 4;
    limits.request_timeout = limits.page_age = milliseconds(60'000);
    return limits;
  }
};

TEST_F(LazyMetricsServerTest, MakesOnePageForAllWhoAskWithinAWhile) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Answers());
  EXPECT_EQ(n_pages_, 1);
}

TEST_F(LazyMetricsServerTest, ClosesConnectionsBeyondTheLimitUntilPlacesAreFree) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<Client>(port()));
  EXPECT_EQ(Client(port()).ReadAll(), "");
  clients.pop_back();
  const auto deadline = Clock::now() + kPatience;
  bool is_answered = false;
  while (!is_answered && Clock::now() < deadline) is_answered = Answers();
  EXPECT_TRUE(is_answered);
}

TEST_F(LazyMetricsServerTest, EndsWhileClientsAreConnected) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(std::make_unique<Client>(port()));
  clients[0]->Send("GET /met");
  // The destructor runs now, long before their time is over.
}

}  // namespace
}  // namespace forge::testing
