#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

#include "kernels/base/descriptor.h"

namespace forge::gateway {

// A connection, in which nothing waits for ever.
//
// Owns: the descriptor. One thread reads and writes; Shutdown may come from any.
class Socket {
 public:
  using Clock = std::chrono::steady_clock;
  enum class ReadResult { kBytes, kEnd, kTimeout };

  explicit Socket(Descriptor descriptor);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Waits until `deadline` for bytes; `n_read` becomes how many came. A connection that broke has
  // ended.
  ReadResult Read(char* bytes, size_t size, Clock::time_point deadline, size_t& n_read);
  // False if the peer is gone or took nothing for `stall_limit`.
  bool Write(std::string_view bytes, std::chrono::milliseconds stall_limit);
  // Tells the peer that nothing more comes, and takes what it still sends for a moment: closing
  // with bytes unread would reset the connection, and the peer lose our last answer with it.
  void Linger(std::chrono::milliseconds limit);
  void Shutdown(int how);  // of shutdown(2)

  int descriptor() const { return descriptor_.get(); }

 private:
  bool Wait(short events, Clock::time_point deadline) const;

  const Descriptor descriptor_;
};

}  // namespace forge::gateway
