#include "gateway/http/server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <utility>

#include "kernels/base/exceptions.h"

namespace forge::gateway {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPollInterval(200);
constexpr milliseconds kStopGrace(1000);

// An IPv4 or IPv6 address as bind(2) takes it.
struct Name {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Name NameOf(const ListenAddress& address) {
  Name name;
  if (address.is_v6()) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(name.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr);
    name.size = sizeof(v6);
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(name.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr);
    name.size = sizeof(v4);
  }
  return name;
}

uint16_t PortOf(int listener) {
  Name name;
  name.size = sizeof(name.storage);
  getsockname(listener, name.get(), &name.size);
  return ntohs(name.storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(name.storage).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(name.storage).sin_port);
}

Status CannotListen(const ListenAddress& address, int fault) {
  std::string message = "cannot listen on " + address.ToString() + ": " + std::strerror(fault);
  if (fault == EADDRINUSE) message += "; another program has the port: choose one with --listen";
  if (fault == EACCES) message += "; ports below 1024 are the system's: choose one with --listen";
  return Unavailable(std::move(message));
}

ApiError TooManyConnections(size_t max_connections) {
  ApiError error;
  error.http_status = 503;
  error.code = "too_many_connections";
  error.message = "forge-gateway serves " + std::to_string(max_connections) +
                  " connections already, which is its --max-connections; try again";
  error.retry_after = std::chrono::seconds(1);
  return error;
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Create(ListenAddress address,
                                                       const Options& options,
                                                       HttpHandler& handler) {
  const int family = address.is_v6() ? AF_INET6 : AF_INET;
  const int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return CannotListen(address, errno);
  const int on = 1;  // the port is free again as soon as we are gone
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  Name name = NameOf(address);
  if (bind(listener, name.get(), name.size) != 0 || listen(listener, SOMAXCONN) != 0) {
    const int fault = errno;
    close(listener);
    return CannotListen(address, fault);
  }
  address.port = PortOf(listener);
  return std::unique_ptr<HttpServer>(
      new HttpServer(listener, std::move(address), options, handler));
}

HttpServer::HttpServer(int listener, ListenAddress address, const Options& options,
                       HttpHandler& handler)
    : listener_(listener),
      address_(std::move(address)),
      options_(options),
      handler_(handler),
      acceptor_(&HttpServer::AcceptLoop, this) {}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::AcceptLoop() {
  while (!is_stopping_) {
    pollfd wanted = {listener_, POLLIN, 0};
    poll(&wanted, 1, static_cast<int>(kPollInterval.count()));
    if (wanted.revents == 0 || is_stopping_) {
      Reap();
      continue;
    }
    Descriptor connected(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (connected.is_open()) {
      // What finds no memory or no thread is closed.
      Contain([&] { Start(std::move(connected)); }, [](const Status&) {});
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      std::this_thread::sleep_for(kPollInterval);  // until some connection ends
    }
  }
}

void HttpServer::Start(Descriptor connected) {
  auto client = std::make_unique<Client>(std::move(connected));
  Reap();
  const MutexLock lock(mutex_);
  const auto n_surplus = static_cast<size_t>(
      std::ranges::count_if(clients_, [](const auto& other) { return other->is_surplus; }));
  if (n_surplus >= kMaxSurplus) return;
  client->is_surplus = clients_.size() - n_surplus >= options_.max_connections;
  std::optional<ApiError> surplus;
  if (client->is_surplus) surplus = TooManyConnections(options_.max_connections);
  Client& started = *client;
  clients_.push_back(std::move(client));
  try {
    started.thread = std::thread([this, &started, surplus] {
      try {
        ServeConnection(started.socket, options_.limits, handler_, surplus);
      } catch (const std::exception&) {  // no memory: this connection ends, the others go on
      }
      started.socket.Shutdown(SHUT_RDWR);
      started.is_done = true;
    });
  } catch (...) {  // nobody would end it
    clients_.pop_back();
    throw;
  }
}

size_t HttpServer::Reap() {
  const MutexLock lock(mutex_);
  std::erase_if(clients_, [](const std::unique_ptr<Client>& client) {
    if (!client->is_done) return false;
    client->thread.join();
    return true;
  });
  return clients_.size();
}

void HttpServer::ShutDownAll(int how) {
  const MutexLock lock(mutex_);
  for (const auto& client : clients_) client->socket.Shutdown(how);
}

void HttpServer::Stop() {
  if (is_stopping_.exchange(true)) return;
  shutdown(listener_, SHUT_RDWR);  // wakes the acceptor
  acceptor_.join();
  close(listener_);
  // To the connections it looks as if their clients had stopped sending: those that wait for a
  // request end, those that answer one cancel it and can still say so.
  ShutDownAll(SHUT_RD);
  const auto deadline = std::chrono::steady_clock::now() + kStopGrace;
  while (Reap() > 0) {
    if (std::chrono::steady_clock::now() > deadline) ShutDownAll(SHUT_RDWR);
    std::this_thread::sleep_for(milliseconds(5));
  }
}

}  // namespace forge::gateway
