#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "kernels/base/descriptor.h"
#include "kernels/base/mutex.h"

namespace forge {

// Answers GET /metrics over HTTP/1.1 on connections that somebody else accepts: one answer for each
// connection.
//
// Runs on a thread of its own, so that neither a slow client nor a driver that is slow to tell how
// much memory is free holds up anything else. A client gets a bounded time and a bounded number of
// bytes, and there is a bounded number of clients. Requests must name a loopback host: a page of
// some web site that has its name resolved to this machine gets nothing. Thread-safe.
class MetricsServer {
 public:
  struct Limits {
    size_t n_connections = 16;                         // at the same time; more are closed
    size_t request_bytes = 8192;                       // with all its header fields
    std::chrono::milliseconds request_timeout{5'000};  // until the request is whole
    std::chrono::milliseconds answer_timeout{10'000};  // until the client has taken the answer
    // A page is made anew when it is older, so that many clients cost no more than a few.
    std::chrono::milliseconds page_age{100};
  };
  // Makes the page. Called on the server's thread; may throw.
  using Render = std::function<std::string()>;

  // Lifetime: `log` must outlive it, and what `render` uses.
  MetricsServer(Render render, spdlog::logger& log) : MetricsServer(render, log, Limits()) {}
  MetricsServer(Render render, spdlog::logger& log, Limits limits);
  // Waits for a page that is being made; cuts the connections.
  ~MetricsServer();

  // Takes over a connected, non-blocking socket, also where it throws.
  void Serve(Descriptor connected);

 private:
  class Connection;

  // On the server's thread.
  const std::string& Page();
  void WarnSometimes();

  // Constant after construction.
  const Render render_;
  spdlog::logger& log_;
  const Limits limits_;

  // Touched by the server's thread only.
  std::string page_;
  std::optional<std::chrono::steady_clock::time_point> page_time_;

  std::atomic<size_t> n_connections_ = 0;
  Mutex mutex_;
  std::optional<std::chrono::steady_clock::time_point> last_warning_ FORGE_GUARDED_BY(mutex_);

  boost::asio::io_context io_{1};  // after what the connections in it use
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> io_work_;
  std::thread thread_;
};

}  // namespace forge
