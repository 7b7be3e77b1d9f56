#include "daemon/rpc/connections.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

// Two connected sockets; closes what is open at its end.
class SocketPair {
 public:
  SocketPair() {
    FORGE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) == 0,
                std::strerror(errno));
  }
  ~SocketPair() {
    CloseServer();
    ::close(ends_[1]);
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;

  int server() const { return ends_[0]; }
  void CloseServer() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    ends_[0] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

class ConnectionsTest : public ::testing::Test {
 protected:
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
};

TEST_F(ConnectionsTest, AUserHasSoManyAndAClosedOneMakesRoom) {
  Connections connections(log_, {.n_of_user = 2, .n_overall = 10});
  SocketPair first, second, third;
  EXPECT_TRUE(connections.Admit(first.server()));
  EXPECT_TRUE(connections.Admit(second.server()));
  EXPECT_FALSE(connections.Admit(third.server()));
  first.CloseServer();
  EXPECT_TRUE(connections.Admit(third.server()));
}

TEST_F(ConnectionsTest, ThereAreSoManyOverall) {
  Connections connections(log_, {.n_of_user = 10, .n_overall = 2});
  SocketPair first, second, third;
  EXPECT_TRUE(connections.Admit(first.server()));
  EXPECT_TRUE(connections.Admit(second.server()));
  EXPECT_FALSE(connections.Admit(third.server()));
  second.CloseServer();
  EXPECT_TRUE(connections.Admit(third.server()));
}

// A client that opens connections and says nothing on them.
class SilentClient {
 public:
  explicit SilentClient(const std::string& path) {
    address_.sun_family = AF_UNIX;
    path.copy(address_.sun_path, sizeof(address_.sun_path) - 1);
  }
  ~SilentClient() { Leave(); }
  SilentClient(const SilentClient&) = delete;
  SilentClient& operator=(const SilentClient&) = delete;

  int Connect() {
    sockets_.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    FORGE_CHECK(::connect(sockets_.back(), reinterpret_cast<const sockaddr*>(&address_),
                          sizeof(address_)) == 0,
                std::strerror(errno));
    return sockets_.back();
  }
  void Leave() {
    for (const int socket : sockets_) ::close(socket);
    sockets_.clear();
  }
  // True if the server closes the connection within `timeout_ms`.
  static bool IsClosed(int socket, int timeout_ms) {
    pollfd poll = {.fd = socket, .events = POLLRDHUP, .revents = 0};
    return ::poll(&poll, 1, timeout_ms) == 1 && (poll.revents & (POLLRDHUP | POLLHUP)) != 0;
  }

 private:
  sockaddr_un address_ = {};
  std::vector<int> sockets_;
};

TEST_F(ConnectionsTest, TheDaemonClosesThoseOfAUserPastTheLimitAndTakesOthersLater) {
  TestDaemon daemon;
  SilentClient client((daemon.directory().path() / "forge.sock").string());
  int last = -1;
  for (size_t i = 0; i < Connections::Limits().n_of_user; ++i) last = client.Connect();
  EXPECT_FALSE(SilentClient::IsClosed(last, 100));
  EXPECT_TRUE(SilentClient::IsClosed(client.Connect(), 5000));
  client.Leave();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  context.set_wait_for_ready(true);
  v1::GetServerInfoResponse response;
  EXPECT_TRUE(daemon.NewStub()->GetServerInfo(&context, {}, &response).ok());
}

}  // namespace
}  // namespace forge::testing
