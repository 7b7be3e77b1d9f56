#include "kernels/hip/copy_self_test.h"

#include <cstddef>
#include <cstring>
#include <vector>

#include "kernels/hip/hip_stream.h"

namespace forge {
namespace {

constexpr size_t kBytes = size_t{2} << 20;
constexpr size_t kOffsets[] = {0, 256, 4096, 12345, 65537};
constexpr size_t kSizes[] = {1, 64 << 10, size_t{1} << 20};

// No period that an offset could hide in.
std::vector<std::byte> Pattern() {
  std::vector<std::byte> bytes(kBytes);
  uint32_t state = 0x9e3779b9u;
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

Result<bool> CompareAll(HipContext& context, const std::byte* data) {
  const std::vector<std::byte> want = Pattern();
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<HipStream> stream, HipStream::Create(context));
  FORGE_TRY(stream->CopyIn(const_cast<std::byte*>(data), want.data(), kBytes));
  std::vector<std::byte> got(kBytes);
  for (const size_t offset : kOffsets) {
    for (const size_t size : kSizes) {
      std::memset(got.data(), 0, size);
      FORGE_TRY(stream->CopyOut(got.data(), data + offset, size, /*through_whole=*/false));
      FORGE_TRY(stream->Synchronize());
      if (std::memcmp(got.data(), want.data() + offset, size) != 0) return false;
    }
  }
  return true;
}

}  // namespace

Result<bool> OffsetCopiesWork(HipContext& context) {
  FORGE_TRY(context.Select());
  void* data = nullptr;
  FORGE_TRY(context.Check(hipMalloc(&data, kBytes), "allocating 2 MiB for the test of copies"));
  Result<bool> works = CompareAll(context, static_cast<const std::byte*>(data));
  if (!context.health().lost()) static_cast<void>(hipFree(data));
  return works;
}

}  // namespace forge
