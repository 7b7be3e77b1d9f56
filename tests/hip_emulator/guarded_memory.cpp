#include "tests/hip_emulator/guarded_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <utility>

namespace forge::emulator {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr std::byte kSlackByte{0xa5};

size_t RoundUp(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

}  // namespace

GuardedMemory::GuardedMemory(size_t bytes, size_t alignment) {
  const size_t inner_bytes = RoundUp(RoundUp(bytes, alignment), kPageBytes);
  const size_t mapping_bytes = inner_bytes + 2 * kPageBytes;
  void* const mapping =
      mmap(nullptr, mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return;
  mapping_ = static_cast<std::byte*>(mapping);
  mapping_bytes_ = mapping_bytes;
  if (mprotect(mapping_ + kPageBytes, inner_bytes, PROT_READ | PROT_WRITE) != 0) return;
  bytes_ = bytes;
  data_ = mapping_ + kPageBytes + inner_bytes - RoundUp(bytes, alignment);
  std::memset(data_ + bytes_, static_cast<int>(kSlackByte), RoundUp(bytes, alignment) - bytes);
  Fill();
}

GuardedMemory::~GuardedMemory() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

GuardedMemory::GuardedMemory(GuardedMemory&& other) noexcept { *this = std::move(other); }

GuardedMemory& GuardedMemory::operator=(GuardedMemory&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

bool GuardedMemory::Contains(const void* address) const {
  const auto* const byte = static_cast<const std::byte*>(address);
  return byte >= data_ && byte < data_ + bytes_;
}

bool GuardedMemory::IsNear(const void* address) const {
  const auto* const byte = static_cast<const std::byte*>(address);
  return byte >= mapping_ && byte < mapping_ + mapping_bytes_;
}

bool GuardedMemory::Intact() const {
  const std::byte* const end = mapping_ + mapping_bytes_ - kPageBytes;
  for (const std::byte* byte = data_ + bytes_; byte < end; ++byte)
    if (*byte != kSlackByte) return false;
  return true;
}

void GuardedMemory::Retire() {
  mmap(mapping_, mapping_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
       -1, 0);
}

void GuardedMemory::Fill() { std::memset(data_, kFillByte, bytes_); }

}  // namespace forge::emulator
