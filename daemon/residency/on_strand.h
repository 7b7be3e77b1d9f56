#pragma once

#include <boost/asio/post.hpp>
#include <future>
#include <type_traits>

#include "daemon/residency/residency.h"

// The one template of Residency, for its own sources.
namespace forge {

template <typename Call>
auto Residency::OnStrand(Call call) -> decltype(call()) {
  std::promise<decltype(call())> promise;
  auto future = promise.get_future();
  boost::asio::post(strand_, [&promise, &call] {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      promise.set_value();
    } else {
      promise.set_value(call());
    }
  });
  return future.get();
}

}  // namespace forge
