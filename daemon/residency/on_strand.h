#pragma once

#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "daemon/residency/asio_handlers.h"
#include "daemon/residency/residency.h"
#include "kernels/base/exceptions.h"

// The templates of Residency, for its own sources.
namespace forge {

template <typename Call>
auto Residency::OnStrand(Call call) -> decltype(call()) {
  std::promise<decltype(call())> promise;
  auto future = promise.get_future();
  PostHandler(strand_, [&promise, &call] {
    try {
      if constexpr (std::is_void_v<decltype(call())>) {
        call();
        promise.set_value();
      } else {
        promise.set_value(call());
      }
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  });
  return future.get();
}

template <typename Work, typename Fail>
void Residency::Post(Work work, Fail fail) {
  PostHandler(strand_,
              [work = std::move(work), fail = std::move(fail)]() mutable { Contain(work, fail); });
}

template <typename Work, typename Take>
void Residency::RunOn(boost::asio::thread_pool& pool, Work work, Take take) {
  using Outcome = decltype(work());
  const auto outcome = std::make_shared<std::optional<Outcome>>();
  PostHandler(pool, [this, work = std::move(work), take = std::move(take), outcome]() {
    outcome->emplace(Caught(work));
    UntilMemory(
        [&] { PostHandler(strand_, [take, outcome] { UntilMemory([&] { take(**outcome); }); }); });
  });
}

template <typename Work>
void Residency::Tell(const Work& work) {
  Contain(work, [this](const Status& status) {
    log_.warn("something happened that could not be told: {}", status.message());
  });
}

}  // namespace forge
