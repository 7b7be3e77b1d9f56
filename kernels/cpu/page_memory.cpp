#include "kernels/cpu/page_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/base/checked_math.h"
#include "kernels/cpu/host_memory.h"

namespace forge {
namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;

uint64_t PageSize() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

Status Refused(uint64_t bytes, const char* step, int error) {
  return ResourceExhausted("cpu: the system refused memory: " + std::string(step) + " of " +
                           std::to_string(bytes) + " bytes: " + std::strerror(error))
      .WithDetail("requestedBytes", bytes);
}

// Unmaps [begin, end), if that is not empty.
void Unmap(std::byte* begin, std::byte* end) {
  if (begin == end) return;
  const int result = munmap(begin, static_cast<size_t>(end - begin));
  FORGE_CHECK(result == 0, std::strerror(errno));
}

// Backs every page. Returns an errno value.
int PopulateRange(std::byte* data, uint64_t bytes) {
#if defined(MADV_POPULATE_WRITE)
  if (madvise(data, bytes, MADV_POPULATE_WRITE) == 0) return 0;
  if (errno != EINVAL) return errno;  // EINVAL: a kernel before 5.14
#endif
  const uint64_t page = PageSize();
  for (uint64_t at = 0; at < bytes; at += page)
    *static_cast<volatile std::byte*>(data + at) = std::byte{0};
  return 0;
}

// Likewise, on all processors this process may use: a model's pages take as long to clear as its
// weights to pack.
int Populate(std::byte* data, uint64_t bytes) {
  constexpr uint64_t kChunk = uint64_t{32} << 20;
  const uint64_t n_chunks = (bytes - 1) / kChunk + 1;
  std::atomic<uint64_t> next = 0;
  std::atomic<int> error = 0;
  const auto work = [&] {
    for (uint64_t chunk; error == 0 && (chunk = next++) < n_chunks;) {
      const uint64_t begin = chunk * kChunk;
      const int failed = PopulateRange(data + begin, std::min(kChunk, bytes - begin));
      if (failed != 0) error = failed;
    }
  };
  const uint64_t n_threads =
      n_chunks == 1 ? 1 : std::min<uint64_t>(n_chunks, static_cast<uint64_t>(CountUsableCpus()));
  std::vector<std::jthread> helpers;
  try {
    for (uint64_t i = 1; i < n_threads; ++i) helpers.emplace_back(work);
  } catch (const std::exception&) {  // without more threads, or memory to hold them: slower
  }
  work();
  helpers.clear();
  return error;
}

}  // namespace

Result<void*> AllocatePages(uint64_t bytes) {
  const std::optional<uint64_t> size = CheckedAlignUp(bytes, PageSize());
  const uint64_t slack = size && *size >= kHugePage ? kHugePage : 0;
  const std::optional<uint64_t> mapped = size ? CheckedAdd(*size, slack) : std::nullopt;
  if (!mapped) return Refused(bytes, "mapping", ENOMEM);
  void* base = mmap(nullptr, *mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return Refused(bytes, "mapping", errno);
  auto* begin = static_cast<std::byte*>(base);
  std::byte* data = begin;
  if (slack != 0) {
    // Keep the aligned middle and give the rest back.
    const auto address = reinterpret_cast<uintptr_t>(begin);
    data = begin + (kHugePage - address % kHugePage) % kHugePage;
    Unmap(begin, data);
    Unmap(data + *size, begin + *mapped);
    madvise(data, *size, MADV_HUGEPAGE);  // a wish; small pages serve as well
  }
  const int error = Populate(data, *size);
  if (error != 0) {
    Unmap(data, data + *size);
    return Refused(bytes, "backing", error);
  }
  return static_cast<void*>(data);
}

void FreePages(void* data, uint64_t bytes) {
  auto* begin = static_cast<std::byte*>(data);
  Unmap(begin, begin + *CheckedAlignUp(bytes, PageSize()));
}

}  // namespace forge
