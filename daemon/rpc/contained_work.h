#pragma once

#include <boost/asio/thread_pool.hpp>
#include <utility>

#include "daemon/residency/asio_handlers.h"
#include "kernels/base/exceptions.h"

namespace forge {

// Does `work`, a part of a call, on a thread of `pool`; what it throws, such as the end of the
// memory that a client's request takes, goes to `fail` as a Status. Both own what they need of the
// call. Where this throws nothing is done.
template <typename Work, typename Fail>
void PostContained(boost::asio::thread_pool& pool, Work work, Fail fail) {
  PostHandler(pool,
              [work = std::move(work), fail = std::move(fail)]() mutable { Contain(work, fail); });
}

}  // namespace forge
