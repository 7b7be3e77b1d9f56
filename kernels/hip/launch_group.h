#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/status.h"
#include "kernels/hip/argument_bytes.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

// Where a kernel runs: blocks, threads of each, dynamic shared memory.
struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;
};

// kInvalidArgument for 2^32 threads or more along a dimension, which HIP does not launch.
Status CheckThreads(const char* name, const LaunchShape& shape);

// Launches that are held back, with copies of their arguments. Not thread-safe.
class LaunchGroup {
 public:
  // As the runtime's, for `void (*)(Arguments...)`. `name`: a literal.
  template <typename... Arguments>
  void Add(const char* name, const void* kernel, const LaunchShape& shape,
           const Arguments&... arguments) {
    launches_.push_back(
        {name, kernel, shape, bytes_.size(), offsets_.size(), sizeof...(Arguments)});
    (CopyFields(arguments, AddArgument(sizeof(Arguments))), ...);
  }
  void Clear();

  bool empty() const { return launches_.empty(); }
  size_t size() const { return launches_.size(); }
  const char* name(size_t i) const { return launches_[i].name; }
  const void* kernel(size_t i) const { return launches_[i].kernel; }
  const LaunchShape& shape(size_t i) const { return launches_[i].shape; }
  // Pointers to the arguments of launch `i`, as the runtime takes them; valid until the next call
  // of a function that is not const, or of this one.
  void** Arguments(size_t i) const;

  // Whether the other has the same kernels in the same order.
  bool HasKernelsOf(const LaunchGroup& other) const;
  // Whether launch `i` has the same shape and arguments in both.
  bool IsSameLaunch(size_t i, const LaunchGroup& other) const;

 private:
  struct Launch {
    const char* name;
    const void* kernel;
    LaunchShape shape;
    size_t first_byte;    // in bytes_
    size_t first_offset;  // in offsets_
    size_t n_arguments;
  };
  static constexpr size_t kAlignment = 16;

  // Zeroed memory for the next argument of the last launch.
  std::byte* AddArgument(size_t bytes);
  std::span<const std::byte> BytesOf(size_t i) const;

  std::vector<Launch> launches_;
  std::vector<std::byte> bytes_;  // of arguments, each from a multiple of kAlignment on
  std::vector<size_t> offsets_;   // of arguments, in bytes_
  mutable std::vector<void*> pointers_;
};

}  // namespace forge
