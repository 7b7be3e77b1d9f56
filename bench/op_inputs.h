#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/api/attention.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/page_memory.h"

// What measuring programs give the CPU's ops to work on.
namespace forge {

// Memory as the CPU device allocates it.
struct FreeOpMemory {
  uint64_t bytes = 0;
  void operator()(std::byte* p) const { FreePages(p, bytes); }
};
using OpMemory = std::unique_ptr<std::byte[], FreeOpMemory>;
// Aborts if there is no such memory.
OpMemory AllocateOpMemory(uint64_t bytes);

// The same for the same `n`; mean 0, deviation 1.
std::vector<float> NormalFloats(size_t n);

struct AttentionSize {
  KvDType dtype;
  int depth;     // positions before the tokens
  int n_tokens;  // of one sequence
  int window;    // 0: none
  int n_heads, n_kv_heads, head_dim;
};

// Holds a sequence in a cache of its own, and the arguments of attention for its last tokens.
class AttentionInputs {
 public:
  // Fills the cache with the op itself.
  AttentionInputs(const AttentionSize& size, CpuStream& stream);

  const AttentionArgs& args() const { return args_; }

 private:
  OpMemory keys_, values_, workspace_;
  std::vector<int32_t> positions_, sequences_, table_;
  int32_t first_token_[2];
  std::vector<float> q_, y_;
  AttentionArgs args_;  // refers to all of it
};

}  // namespace forge
