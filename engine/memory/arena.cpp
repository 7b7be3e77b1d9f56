#include "engine/memory/arena.h"

#include <string>

namespace forge {
namespace {

constexpr uint64_t kAlignment = 64;

}  // namespace

Result<Arena> Arena::Create(Device& device, Reservation claim) {
  if (claim.bytes() == 0)
    return InvalidArgument("an arena needs a claim of at least 1 byte: 0 bytes claimed on device " +
                           device.info().id);
  FORGE_ASSIGN_OR_RETURN(void* const data, device.Allocate(claim.bytes()));
  return Arena(device, std::move(claim), static_cast<std::byte*>(data));
}

Arena::Arena(Arena&& other) noexcept
    : device_(other.device_),
      claim_(std::move(other.claim_)),
      data_(std::exchange(other.data_, nullptr)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  if (this == &other) return *this;
  Free();
  device_ = other.device_;
  claim_ = std::move(other.claim_);
  data_ = std::exchange(other.data_, nullptr);
  return *this;
}

Arena::~Arena() { Free(); }

void Arena::Free() {
  if (data_ != nullptr) device_->Free(data_, claim_.bytes());
}

Result<std::byte*> Arena::View(uint64_t offset_bytes, uint64_t bytes) const {
  if (bytes == 0)
    return InvalidArgument("a view of an arena needs at least 1 byte: 0 bytes at offset " +
                           std::to_string(offset_bytes));
  if (offset_bytes % kAlignment != 0)
    return InvalidArgument("a view of an arena starts at a multiple of " +
                           std::to_string(kAlignment) + ": offset " + std::to_string(offset_bytes));
  if (offset_bytes > size_bytes() || bytes > size_bytes() - offset_bytes)
    return OutOfRange("a view must lie in its arena of " + std::to_string(size_bytes()) +
                      " bytes: " + std::to_string(bytes) + " bytes at offset " +
                      std::to_string(offset_bytes));
  return data_ + offset_bytes;
}

}  // namespace forge
