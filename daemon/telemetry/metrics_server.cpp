#include "daemon/telemetry/metrics_server.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <string_view>
#include <utility>

#include "daemon/residency/asio_handlers.h"

namespace forge {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;
using Socket = asio::basic_stream_socket<Protocol, asio::any_io_executor>;
using Stream = beast::basic_stream<Protocol, asio::any_io_executor>;

constexpr std::string_view kPath = "/metrics";
// How long a client that was answered may go on sending: closed at once, it could miss its answer.
constexpr std::chrono::milliseconds kLinger{1'000};
// Between two warnings: a client that is refused tries again at once.
constexpr std::chrono::minutes kWarningPeriod{1};

int FamilyOfSocket(int descriptor) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return -1;
  return address.ss_family;
}

// "localhost", "127.0.0.1:9464", "[::1]:9464" and the like.
bool IsLoopback(std::string_view host) {
  const bool has_brackets = !host.empty() && host.front() == '[';
  if (has_brackets) host.remove_prefix(1);
  host = host.substr(0, host.find(has_brackets ? ']' : ':'));
  if (beast::iequals({host.data(), host.size()}, "localhost")) return true;
  boost::system::error_code error;
  const asio::ip::address address = asio::ip::make_address(std::string(host), error);
  return !error && address.is_loopback();
}

// What to answer in place of the page.
struct Refusal {
  http::status status;
  std::string_view text;
};

std::optional<Refusal> Refuse(const http::request<http::empty_body>& request) {
  if (request[http::field::host].empty() && request.version() >= 11)
    return Refusal{http::status::bad_request, "a request must name its host"};
  const auto host = request[http::field::host];
  if (!host.empty() && !IsLoopback({host.data(), host.size()}))
    return Refusal{http::status::misdirected_request,
                   "this is not that host; ask for localhost, 127.0.0.1 or [::1]"};
  const auto target = request.target();
  const std::string_view path(target.data(), target.size());
  if (path.substr(0, path.find('?')) != kPath)
    return Refusal{http::status::not_found, "there is only /metrics"};
  if (request.method() != http::verb::get && request.method() != http::verb::head)
    return Refusal{http::status::method_not_allowed, "there is only GET and HEAD"};
  return std::nullopt;
}

// Of what could not be read as a request; nullopt: nobody is there to be told.
std::optional<Refusal> RefuseUnread(const beast::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return Refusal{http::status::request_header_fields_too_large, "the request is too long"};
  const bool is_of_parser = error.category() == http::make_error_code(http::error{}).category();
  if (!is_of_parser || error == http::error::end_of_stream || error == http::error::partial_message)
    return std::nullopt;
  return Refusal{http::status::bad_request, "this is not HTTP, or has a body"};
}

}  // namespace

// One client: reads its request, answers, and takes leave. Owns itself through its handlers. On the
// server's thread.
class MetricsServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(MetricsServer& server, Socket socket)
      : server_(server), stream_(std::move(socket)), buffer_(server.limits_.request_bytes) {
    ++server_.n_connections_;
    parser_.header_limit(static_cast<uint32_t>(server.limits_.request_bytes));
  }
  ~Connection() { --server_.n_connections_; }

  void Start() {
    stream_.expires_after(server_.limits_.request_timeout);
    http::async_read_header(stream_, buffer_, parser_,
                            [self = shared_from_this()](const beast::error_code& error, size_t) {
                              const std::optional<Refusal> refusal =
                                  error ? RefuseUnread(error) : Refuse(self->parser_.get());
                              if (refusal) return self->AnswerWith(*refusal);
                              if (!error) self->AnswerPage();
                            });
  }

 private:
  void AnswerPage() {
    try {
      response_.body() = server_.Page();
    } catch (const std::exception& error) {
      server_.log_.warn("the page of metrics could not be made: {}", error.what());
      return AnswerWith({http::status::internal_server_error, "the page could not be made"});
    }
    response_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    Answer();
  }

  void AnswerWith(const Refusal& refusal) {
    response_.result(refusal.status);
    if (refusal.status == http::status::method_not_allowed)
      response_.set(http::field::allow, "GET, HEAD");
    response_.set(http::field::content_type, "text/plain; charset=utf-8");
    response_.body() = std::string(refusal.text) + "\n";
    Answer();
  }

  void Answer() {
    response_.version(11);
    response_.keep_alive(false);
    response_.content_length(response_.body().size());
    if (parser_.get().method() == http::verb::head) response_.body().clear();
    stream_.expires_after(server_.limits_.answer_timeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](const beast::error_code& error, size_t) {
                        if (!error) self->TakeLeave();
                      });
  }

  void TakeLeave() {
    beast::error_code ignored;  // then the client is gone already
    stream_.socket().shutdown(Socket::shutdown_send, ignored);
    stream_.expires_after(kLinger);
    leave_time_ = std::chrono::steady_clock::now() + kLinger;
    DropWhatComes();
  }

  void DropWhatComes() {
    stream_.async_read_some(asio::buffer(dropped_), [self = shared_from_this()](
                                                        const beast::error_code& error, size_t) {
      // The stream's own limit does not end reads that never wait.
      const bool is_late = std::chrono::steady_clock::now() > self->leave_time_;
      if (!error && !is_late) self->DropWhatComes();
    });
  }

  MetricsServer& server_;
  Stream stream_;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> response_;
  std::array<char, 4096> dropped_;
  std::chrono::steady_clock::time_point leave_time_;
};

MetricsServer::MetricsServer(Render render, spdlog::logger& log, Limits limits)
    : render_(std::move(render)),
      log_(log),
      limits_(limits),
      io_work_(boost::asio::make_work_guard(io_)),
      thread_([this] { RunHandlers(io_, "metrics_listen", log_); }) {}

MetricsServer::~MetricsServer() {
  io_.stop();
  thread_.join();
}

void MetricsServer::Serve(Descriptor connected) {
  Socket socket(io_);
  boost::system::error_code error;
  socket.assign(Protocol(FamilyOfSocket(connected.get()), 0), connected.get(), error);
  if (error) return;
  connected.Release();
  if (n_connections_ >= limits_.n_connections) return WarnSometimes();
  const auto connection = std::make_shared<Connection>(*this, std::move(socket));
  boost::asio::post(io_, [connection] { connection->Start(); });
}

void MetricsServer::WarnSometimes() {
  const MutexLock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (last_warning_ && now - *last_warning_ < kWarningPeriod) return;
  last_warning_ = now;
  log_.warn("metrics_listen has {} connections, which is the limit; further ones are closed",
            limits_.n_connections);
}

const std::string& MetricsServer::Page() {
  const auto now = std::chrono::steady_clock::now();
  if (page_time_ && now - *page_time_ < limits_.page_age) return page_;
  page_time_.reset();
  page_ = render_();
  page_time_ = now;
  return page_;
}

}  // namespace forge
