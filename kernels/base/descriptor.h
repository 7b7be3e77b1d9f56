#pragma once

#include <unistd.h>

#include <utility>

namespace forge {

// Owns a file descriptor, or none, and closes it. Move-only.
class Descriptor {
 public:
  // Takes `number` over; negative: none.
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  bool is_open() const { return number_ >= 0; }
  int get() const { return number_; }
  // The caller closes it from here on.
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

}  // namespace forge
