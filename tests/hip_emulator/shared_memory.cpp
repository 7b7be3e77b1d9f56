#include "tests/hip_emulator/shared_memory.h"

namespace forge::emulator {

void SharedMemory::BeginBlock(size_t dynamic_bytes, size_t limit_bytes) {
  ++block_;
  limit_bytes_ = limit_bytes;
  used_bytes_ = dynamic_bytes;
  if (dynamic_.bytes() != dynamic_bytes || dynamic_.data() == nullptr)
    dynamic_ = GuardedMemory(dynamic_bytes, kAlignment);
  else
    dynamic_.Fill();
}

void* SharedMemory::Array(const char* site, const char* name, size_t bytes) {
  SiteArray* array = nullptr;
  for (SiteArray& candidate : arrays_)
    if (candidate.site == site && candidate.memory.bytes() == bytes) array = &candidate;
  if (array == nullptr) {
    arrays_.push_back({.site = site, .name = name, .memory = GuardedMemory(bytes, kAlignment)});
    array = &arrays_.back();
  } else if (array->block == block_) {
    return array->memory.data();
  } else {
    array->memory.Fill();
  }
  array->block = block_;
  used_bytes_ += bytes;
  return used_bytes_ > limit_bytes_ ? nullptr : array->memory.data();
}

std::string SharedMemory::Describe(const void* address) const {
  for (const SiteArray& array : arrays_)
    if (array.memory.IsNear(address))
      return DescribePlace(array.memory, std::string("shared array ") + array.name, address);
  if (dynamic_.data() != nullptr && dynamic_.IsNear(address))
    return DescribePlace(dynamic_, "dynamic shared memory", address);
  return "";
}

std::string DescribePlace(const GuardedMemory& memory, const std::string& name,
                          const void* address) {
  const auto* const byte = static_cast<const std::byte*>(address);
  const std::string size = " of " + std::to_string(memory.bytes()) + " bytes";
  if (byte < memory.data())
    return std::to_string(memory.data() - byte) + " bytes before " + name + size;
  const std::ptrdiff_t past = byte - (memory.data() + memory.bytes());
  if (past < 0) return "inside " + name + size;
  return std::to_string(past) + " bytes past the end of " + name + size;
}

}  // namespace forge::emulator
