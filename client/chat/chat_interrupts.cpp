#include "client/chat/chat_interrupts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>
#include <utility>

#include "client/failure.h"

namespace forge::client {

namespace {

std::array<int, 2> OpenPipe() {
  std::array<int, 2> ends = {};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    throw std::system_error(errno, std::generic_category(), "pipe");
  return ends;
}

}  // namespace

ChatInterrupts::ChatInterrupts(bool ends_process) : ends_process_(ends_process), pipe_(OpenPipe()) {
  scope_.emplace([this](int) { OnInterrupt(); });
}

ChatInterrupts::~ChatInterrupts() {
  scope_.reset();
  for (const int fd : pipe_) close(fd);
}

void ChatInterrupts::SetHandler(std::function<void()> handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void ChatInterrupts::OnInterrupt() {
  const std::lock_guard lock(mutex_);
  if (handler_) return handler_();
  if (ends_process_) std::_Exit(static_cast<int>(ExitCode::kInterrupted));
  // A full pipe holds enough of them.
  [[maybe_unused]] const ssize_t written = write(pipe_[1], "", 1);
}

}  // namespace forge::client
