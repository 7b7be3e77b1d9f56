#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <optional>

#include "client/terminal/interrupt.h"

namespace forge::client {

// Sends Ctrl-C to where a chat is: to what runs, or to the line that is edited. Thread-safe.
class ChatInterrupts {
 public:
  // `ends_process`: what nothing else takes ends the process with 130.
  explicit ChatInterrupts(bool ends_process);
  ~ChatInterrupts();
  ChatInterrupts(const ChatInterrupts&) = delete;
  ChatInterrupts& operator=(const ChatInterrupts&) = delete;

  // Gives a byte for each Ctrl-C that nothing else took.
  int fd() const { return pipe_[0]; }

  // While it lives, Ctrl-C calls `handler`, on another thread. One at a time.
  class [[nodiscard]] Handler {
   public:
    Handler(ChatInterrupts& interrupts, std::function<void()> handler) : interrupts_(interrupts) {
      interrupts_.SetHandler(std::move(handler));
    }
    ~Handler() { interrupts_.SetHandler(nullptr); }
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

   private:
    ChatInterrupts& interrupts_;
  };

 private:
  void SetHandler(std::function<void()> handler);
  void OnInterrupt();

  const bool ends_process_;
  const std::array<int, 2> pipe_;  // read from, write to
  std::mutex mutex_;
  std::function<void()> handler_;
  std::optional<InterruptScope> scope_;  // last: its thread uses all of the above
};

}  // namespace forge::client
