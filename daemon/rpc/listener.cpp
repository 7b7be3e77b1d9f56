#include "daemon/rpc/listener.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "daemon/rpc/unix_socket.h"
#include "kernels/base/exceptions.h"

namespace forge {
namespace {

// How long accepting rests when the process is out of descriptors or memory.
constexpr std::chrono::milliseconds kRest{100};

void Prepare(boost::asio::ip::tcp::socket& socket) {
  boost::system::error_code ignored;  // tokens then only arrive later
  socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
}
void Prepare(boost::asio::local::stream_protocol::socket&) {}

template <typename Protocol>
class AcceptLoop : public Listener {
 public:
  AcceptLoop(typename Protocol::acceptor acceptor, ListenAddress address,
             std::optional<UnixSocket> file, OnConnection on_connection)
      : acceptor_(std::move(acceptor)),
        timer_(acceptor_.get_executor()),
        address_(std::move(address)),
        file_(std::move(file)),
        on_connection_(std::move(on_connection)) {}

  ListenAddress address() const override { return address_; }

  void Close() override {
    boost::system::error_code ignored;  // closing is all that can be done
    acceptor_.close(ignored);
    timer_.cancel();
    file_.reset();
  }

  void AcceptNext() {
    UntilMemory([this] {
      acceptor_.async_accept(
          [this](const boost::system::error_code& error, typename Protocol::socket socket) {
            if (error == boost::asio::error::operation_aborted) return;
            if (error) return Rest();
            // The connection that finds no memory is closed, and the next one is taken.
            Contain([&] { Hand(std::move(socket)); }, [](const Status&) {});
            AcceptNext();
          });
    });
  }

 private:
  void Rest() {
    timer_.expires_after(kRest);
    UntilMemory([this] {
      timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) AcceptNext();
      });
    });
  }

  void Hand(typename Protocol::socket socket) {
    boost::system::error_code error;
    Prepare(socket);
    socket.native_non_blocking(true, error);
    if (error) return;
    Descriptor descriptor(socket.release(error));
    if (error) return;
    ::fcntl(descriptor.get(), F_SETFD, FD_CLOEXEC);
    on_connection_(std::move(descriptor));
  }

  typename Protocol::acceptor acceptor_;
  boost::asio::steady_timer timer_;
  const ListenAddress address_;
  std::optional<UnixSocket> file_;
  const OnConnection on_connection_;
};

Result<std::unique_ptr<Listener>> StartUnix(const ListenAddress& address, uint32_t socket_mode,
                                            boost::asio::io_context& io,
                                            Listener::OnConnection on_connection,
                                            std::string_view flag) {
  using Protocol = boost::asio::local::stream_protocol;
  FORGE_ASSIGN_OR_RETURN(UnixSocket file,
                         UnixSocket::Listen(address.path, static_cast<mode_t>(socket_mode), flag));
  const int descriptor = file.ReleaseDescriptor();
  auto loop =
      std::make_unique<AcceptLoop<Protocol>>(Protocol::acceptor(io, Protocol(), descriptor),
                                             address, std::move(file), std::move(on_connection));
  loop->AcceptNext();
  return std::unique_ptr<Listener>(std::move(loop));
}

Result<std::unique_ptr<Listener>> StartTcp(ListenAddress address, boost::asio::io_context& io,
                                           Listener::OnConnection on_connection,
                                           std::string_view flag) {
  using Protocol = boost::asio::ip::tcp;
  boost::system::error_code error;
  const Protocol::endpoint endpoint(boost::asio::ip::make_address(address.host, error),
                                    address.port);
  Protocol::acceptor acceptor(io);
  if (!error) acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Protocol::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(Protocol::acceptor::max_listen_connections, error);
  if (!error) address.port = acceptor.local_endpoint(error).port();
  if (error) {
    return Unavailable(fmt::format("cannot listen on {}: {}; choose another address with {}",
                                   address.ToString(), error.message(), flag));
  }
  auto loop = std::make_unique<AcceptLoop<Protocol>>(std::move(acceptor), address, std::nullopt,
                                                     std::move(on_connection));
  loop->AcceptNext();
  return std::unique_ptr<Listener>(std::move(loop));
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::Start(const ListenAddress& address,
                                                  uint32_t socket_mode, boost::asio::io_context& io,
                                                  OnConnection on_connection,
                                                  std::string_view flag) {
  if (address.kind == ListenAddress::Kind::kUnix) {
    return StartUnix(address, socket_mode, io, std::move(on_connection), flag);
  }
  return StartTcp(address, io, std::move(on_connection), flag);
}

}  // namespace forge
