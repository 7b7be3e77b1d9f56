#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace forge {

template <typename Signature>
class FunctionRef;

// Refers to something callable without owning it and without allocating: the type of a callback
// parameter that is only called before the callee returns.
// Lifetime: the callable must outlive the reference, so never store one made from a temporary.
template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
 public:
  template <typename Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
           std::is_invocable_r_v<R, Callable&, Args...>)
      // Implicit: callers pass lambdas.
      FunctionRef(Callable&& callable)  // NOLINT(google-explicit-constructor)
      : target_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* target, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<Callable>*>(target))(
              std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(target_, std::forward<Args>(args)...); }

 private:
  void* target_;
  R (*call_)(void*, Args...);
};

}  // namespace forge
