#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <string_view>
#include <utility>

#include "kernels/base/exceptions.h"

// What asio's handlers need so that nothing is lost where one throws.
namespace forge {

// Has `executor` call `work`. Where this throws it does not. asio moves a handler once more before
// it calls it, and loses one whose move throws, as the copy of a constant string in it may: so it
// is moved as a pointer.
template <typename Executor, typename Work>
void PostHandler(Executor&& executor, Work work) {
  boost::asio::post(executor, [work = std::make_shared<Work>(std::move(work))] { (*work)(); });
}

// Runs the handlers of `io` on this thread until it is stopped. What one throws is logged as about
// `what`, and the others run on.
inline void RunHandlers(boost::asio::io_context& io, std::string_view what, spdlog::logger& log) {
  bool is_done = false;
  while (!is_done) {
    Contain(
        [&] {
          io.run();
          is_done = true;
        },
        [&](const Status& status) {
          log.error("{} goes on after this: {}", what, status.message());
        });
  }
}

}  // namespace forge
