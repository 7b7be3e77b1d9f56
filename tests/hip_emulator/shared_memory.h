#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/hip_emulator/guarded_memory.h"

namespace forge::emulator {

// The shared memory of the block that runs on one worker. Every array lies between guard pages of
// its own and is filled anew for each block. Not thread-safe.
class SharedMemory {
 public:
  // Begins a block: all arrays become undefined again.
  void BeginBlock(size_t dynamic_bytes, size_t limit_bytes);
  // The array of `site`; the first call of a block defines it. null where the block's arrays exceed
  // the device's shared memory.
  void* Array(const char* site, const char* name, size_t bytes);
  void* dynamic() { return dynamic_.data(); }
  size_t used_bytes() const { return used_bytes_; }
  // "partial, 12 bytes past its end", or an empty text if the address is in no array's reach.
  std::string Describe(const void* address) const;

 private:
  struct SiteArray {
    const char* site;
    const char* name;
    GuardedMemory memory;
    int block = 0;  // the last block that defined it
  };
  static constexpr size_t kAlignment = 16;

  std::vector<SiteArray> arrays_;  // those of earlier kernels are kept for the next time
  GuardedMemory dynamic_;
  int block_ = 0;
  size_t used_bytes_ = 0;
  size_t limit_bytes_ = 0;
};

// "12 bytes past the end of <name>", "inside <name>, ...": where an address lies relative to memory
// that it is near.
std::string DescribePlace(const GuardedMemory& memory, const std::string& name,
                          const void* address);

}  // namespace forge::emulator
