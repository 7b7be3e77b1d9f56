#pragma once

#include <cstdint>

namespace forge {

// Asking for memory before it is read or written. Addresses may be any; nothing is read. Always
// inlined, so that files compiled for different instruction sets share no copy.

// Fetches the cache lines of kBytes from `ahead` on.
template <int64_t kBytes>
[[gnu::always_inline]] inline void Prefetch(const void* ahead) {
#pragma GCC unroll 16
  for (int64_t p = 0; p < kBytes; p += 64) __builtin_prefetch(static_cast<const char*>(ahead) + p);
}

// Fetches a cache line. For functions of their own that do nothing but this: g++ takes one whose
// only statements are prefetches for a function without effects, and drops calls of it.
[[gnu::always_inline]] inline void PrefetchLine(const void* ahead) {
  __builtin_prefetch(ahead);
  asm volatile("");
}

// Fetches one line of the page some pages beyond `ahead`, so that the processor has looked up that
// page's address when its turn comes: else memory waits for this at each page's first line.
// docs/cpu-matmul.md has what it gains.
[[gnu::always_inline]] inline void PrefetchPageBeyond(const void* ahead) {
  constexpr uintptr_t kPageBytes = 4096;   // of the smallest pages
  constexpr uintptr_t kBeyond = 32 << 10;  // what a cache line of a page table stands for
  const uintptr_t beyond = reinterpret_cast<uintptr_t>(ahead) + kBeyond;
  __builtin_prefetch(reinterpret_cast<const void*>(beyond - beyond % kPageBytes));
}

// What a tile of kTokens tokens fetches as it multiplies columns 32 k .. 32 k + 31: kBytes from
// `ahead` on, and later pages. Asking for a page again and again, as its fetches come, read up to 5
// % more with one token than asking once, and cost up to 15 % of the time with eight (two Zen 5
// cores, Q4_K).
template <int64_t kBytes, int kTokens>
[[gnu::always_inline]] inline void PrefetchColumns(const void* ahead, int64_t k) {
  Prefetch<kBytes>(ahead);
  if (kTokens < 4 || k % 8 == 0) PrefetchPageBeyond(ahead);
}

}  // namespace forge
