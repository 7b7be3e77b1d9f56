#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <thread>
#include <utility>

#include "gateway/http/connection.h"
#include "gateway/listen_address.h"
#include "kernels/base/mutex.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// Listens on a loopback port and serves each connection on a thread of its own.
//
// Connections past the limit are told so, and further ones past kMaxSurplus closed at once.
class HttpServer {
 public:
  struct Options {
    size_t max_connections = 64;
    ConnectionLimits limits;
  };
  static constexpr size_t kMaxSurplus = 16;

  // Listens from here on. kUnavailable if the port cannot be had. `handler` must outlive the
  // server.
  static Result<std::unique_ptr<HttpServer>> Create(ListenAddress address, const Options& options,
                                                    HttpHandler& handler);
  ~HttpServer();  // stops

  // With the port that the system picked.
  const ListenAddress& address() const { return address_; }

  // Takes no more connections, has running answers end, and returns when all have: after a second
  // they are cut.
  void Stop() FORGE_EXCLUDES(mutex_);

 private:
  struct Client {
    explicit Client(Descriptor connected) : socket(std::move(connected)) {}
    Socket socket;
    std::atomic<bool> is_done = false;
    bool is_surplus = false;  // one too many: it is only told so
    std::thread thread;
  };

  HttpServer(int listener, ListenAddress address, const Options& options, HttpHandler& handler);
  void AcceptLoop();
  void Start(Descriptor connected) FORGE_EXCLUDES(mutex_);
  // Forgets the connections that are over; returns how many are left.
  size_t Reap() FORGE_EXCLUDES(mutex_);
  void ShutDownAll(int how) FORGE_EXCLUDES(mutex_);

  const int listener_;
  const ListenAddress address_;
  const Options options_;
  HttpHandler& handler_;
  std::atomic<bool> is_stopping_ = false;
  Mutex mutex_;
  std::list<std::unique_ptr<Client>> clients_ FORGE_GUARDED_BY(mutex_);
  std::thread acceptor_;  // last: it uses the others
};

}  // namespace forge::gateway
