#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace forge {

namespace argument_bytes {

// Stands for any field where it is only asked whether a structure has one more.
struct AnyField {
  template <typename T>
  constexpr operator T() const;  // NOLINT: it is to convert by itself
};

template <typename T, typename... Fields>
consteval size_t CountFields() {
  if constexpr (requires { T{std::declval<Fields>()..., std::declval<AnyField>()}; })
    return CountFields<T, Fields..., AnyField>();
  else
    return sizeof...(Fields);
}

// Calls `f` with each field of an aggregate without array members.
template <typename T, typename F>
void ForEachField(const T& value, const F& f) {
  constexpr size_t kCount = CountFields<T>();
  const auto Each = [&f](const auto&... fields) { (f(fields), ...); };
  if constexpr (kCount == 1) {
    const auto& [f0] = value;
    Each(f0);
  } else if constexpr (kCount == 2) {
    const auto& [f0, f1] = value;
    Each(f0, f1);
  } else if constexpr (kCount == 3) {
    const auto& [f0, f1, f2] = value;
    Each(f0, f1, f2);
  } else if constexpr (kCount == 4) {
    const auto& [f0, f1, f2, f3] = value;
    Each(f0, f1, f2, f3);
  } else if constexpr (kCount == 5) {
    const auto& [f0, f1, f2, f3, f4] = value;
    Each(f0, f1, f2, f3, f4);
  } else if constexpr (kCount == 6) {
    const auto& [f0, f1, f2, f3, f4, f5] = value;
    Each(f0, f1, f2, f3, f4, f5);
  } else if constexpr (kCount == 7) {
    const auto& [f0, f1, f2, f3, f4, f5, f6] = value;
    Each(f0, f1, f2, f3, f4, f5, f6);
  } else if constexpr (kCount == 8) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7);
  } else if constexpr (kCount == 9) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8);
  } else if constexpr (kCount == 10) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9);
  } else if constexpr (kCount == 11) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10);
  } else if constexpr (kCount == 12) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11);
  } else if constexpr (kCount == 13) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12);
  } else if constexpr (kCount == 14) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13);
  } else if constexpr (kCount == 15) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14);
  } else if constexpr (kCount == 16) {
    const auto& [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] = value;
    Each(f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15);
  } else {
    static_assert(kCount <= 16, "one more line for each field more");
  }
}

}  // namespace argument_bytes

// Copies an argument of a kernel into zeroed memory without what lies between its fields, so that
// equal arguments have equal bytes.
template <typename T>
void CopyFields(const T& value, std::byte* to) {
  static_assert(std::is_trivially_copyable_v<T>);
  if constexpr (!std::is_aggregate_v<T> || std::has_unique_object_representations_v<T>) {
    std::memcpy(to, &value, sizeof(T));
  } else {
    const auto* const start = reinterpret_cast<const std::byte*>(&value);
    argument_bytes::ForEachField(value, [start, to](const auto& field) {
      CopyFields(field, to + (reinterpret_cast<const std::byte*>(&field) - start));
    });
  }
}

}  // namespace forge
