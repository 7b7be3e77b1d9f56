#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string_view>

#include "daemon/config/listen_address.h"
#include "kernels/base/descriptor.h"
#include "kernels/base/result.h"

namespace forge {

// Accepts connections and hands over their descriptors.
//
// forged accepts itself, because the listeners of gRPC 1.51 stop for good once the process ran out
// of descriptors (CVE-2023-4785), and because only so the permissions of the Unix socket are right
// from its first moment. Runs on the io_context.
class Listener {
 public:
  // Takes over a connected, non-blocking descriptor. Called on the io_context. Where it throws, the
  // connection is closed.
  using OnConnection = std::function<void(Descriptor connected)>;

  // Binds and starts to accept. Errors as UnixSocket::Listen; kUnavailable if the port is taken.
  static Result<std::unique_ptr<Listener>> Start(const ListenAddress& address, uint32_t socket_mode,
                                                 boost::asio::io_context& io,
                                                 OnConnection on_connection,
                                                 std::string_view flag = "--listen");

  virtual ~Listener() = default;
  // Where it listens; with the real port where the system chose it.
  virtual ListenAddress address() const = 0;
  // Accepts no more and removes the socket file. To be called on the io_context, or when it does
  // not run.
  virtual void Close() = 0;
};

}  // namespace forge
