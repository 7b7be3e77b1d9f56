#pragma once

#include <optional>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/base/status.h"

namespace forge {

// Holds a value, or the Status that says why there is none.
// Invariant: has a value exactly when status().ok().
template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that functions can `return value;` and `return InvalidArgument(...);`.
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    FORGE_CHECK(!status_.ok(), "a Result without a value needs an error");
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // REQUIRES: ok().
  T& value() & {
    FORGE_CHECK(ok(), status_.message());
    return *value_;
  }
  const T& value() const& {
    FORGE_CHECK(ok(), status_.message());
    return *value_;
  }
  T&& value() && {
    FORGE_CHECK(ok(), status_.message());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace forge

#define FORGE_CONCAT_INNER(a, b) a##b
#define FORGE_CONCAT(a, b) FORGE_CONCAT_INNER(a, b)

// FORGE_ASSIGN_OR_RETURN(const Foo foo, MakeFoo()): declares or assigns the value, or returns the
// error from the enclosing function.
#define FORGE_ASSIGN_OR_RETURN(declaration, expression) \
  FORGE_ASSIGN_OR_RETURN_INNER(FORGE_CONCAT(forge_result_, __LINE__), declaration, expression)
#define FORGE_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                         \
  if (!result.ok()) return result.status();                           \
  declaration = std::move(result).value()
