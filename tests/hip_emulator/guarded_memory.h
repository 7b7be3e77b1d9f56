#pragma once

#include <cstddef>

namespace forge::emulator {

// A stretch of memory between inaccessible pages, as close to the upper one as its alignment
// allows: the first read or write past the end faults, and so does one before the beginning of the
// page. Filled with kFillByte, so that what nobody wrote reads as NaN in every float format and as
// -1. Owns the memory. Bytes that alignment leaves between the end and the page hold a pattern,
// which Intact() checks.
class GuardedMemory {
 public:
  static constexpr unsigned char kFillByte = 0xff;

  GuardedMemory() = default;
  // `alignment` is a power of two. null data() where the host has no memory left.
  GuardedMemory(size_t bytes, size_t alignment);
  ~GuardedMemory();
  GuardedMemory(GuardedMemory&& other) noexcept;
  GuardedMemory& operator=(GuardedMemory&& other) noexcept;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool Contains(const void* address) const;
  // Whether an address lies in this memory or its guards: "12 bytes past the end" belongs to it.
  bool IsNear(const void* address) const;
  bool Intact() const;
  // Gives the memory back but keeps the addresses: any access faults from now on.
  void Retire();
  void Fill();

 private:
  std::byte* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace forge::emulator
