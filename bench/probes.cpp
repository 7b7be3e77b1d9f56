#include "bench/probes.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/host_memory.h"
#include "kernels/cpu/page_memory.h"
#include "kernels/cpu/prefetch.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace forge {
namespace {

constexpr int64_t kBytes = int64_t{256} << 20;
constexpr int kRounds = 5;
constexpr int kPeakIterations = 200'000;
constexpr int kChains = 12;  // independent sums, enough to hide the latency of one addition

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A kernel runs `iterations` rounds of kChains instructions, and says how many operations that was.
struct PeakKernel {
  double (*run)(int iterations, float seed);
};

// Returns something that depends on every sum, so that none is left out.
double PortableFloat(int iterations, float seed) {
  std::array<float, 4 * kChains> sums{};
  for (int i = 0; i < iterations; ++i)
    for (float& sum : sums) sum = sum * seed + seed;
  float total = 0;
  for (const float sum : sums) total += sum;
  return 2.0 * static_cast<double>(sums.size()) * iterations + (total == 1.5f ? 1 : 0);
}

#if defined(__x86_64__)
// Loops over the sums are unrolled, and each sum is opaque to the compiler after every instruction:
// else it computes equal chains once, or stores every sum (GCC 12).
__attribute__((target("avx512f"))) double Avx512Float(int iterations, float seed) {
  __m512 sums[kChains];
  const __m512 factor = _mm512_set1_ps(seed);
#pragma GCC unroll 12
  for (__m512& sum : sums) sum = factor;
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m512& sum : sums) {
      sum = _mm512_fmadd_ps(sum, factor, factor);
      asm("" : "+v"(sum));
    }
  }
  float total = 0;
#pragma GCC unroll 12
  for (const __m512& sum : sums) total += _mm512_cvtss_f32(sum);
  return 2.0 * 16 * kChains * iterations + (total == 1.5f ? 1 : 0);
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) double Avx512Int8(int iterations,
                                                                         float seed) {
  __m512i sums[kChains];
  const __m512i factor = _mm512_set1_epi8(static_cast<char>(seed * 100));
#pragma GCC unroll 12
  for (__m512i& sum : sums) sum = factor;
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m512i& sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, factor, factor);
      asm("" : "+v"(sum));
    }
  }
  unsigned total = 0;
#pragma GCC unroll 12
  for (const __m512i& sum : sums)
    total += static_cast<unsigned>(_mm_cvtsi128_si32(_mm512_castsi512_si128(sum)));
  return 2.0 * 64 * kChains * iterations + (total == 1 ? 1 : 0);
}

__attribute__((target("avx2,fma"))) double Avx2Float(int iterations, float seed) {
  __m256 sums[kChains];
  const __m256 factor = _mm256_set1_ps(seed);
#pragma GCC unroll 12
  for (__m256& sum : sums) sum = factor;
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m256& sum : sums) {
      sum = _mm256_fmadd_ps(sum, factor, factor);
      asm("" : "+x"(sum));
    }
  }
  float total = 0;
#pragma GCC unroll 12
  for (const __m256& sum : sums) total += _mm256_cvtss_f32(sum);
  return 2.0 * 8 * kChains * iterations + (total == 1.5f ? 1 : 0);
}

// As of codes of four bits, whose products are summed in 16: those of eight take twice as long.
__attribute__((target("avx2"))) double Avx2Int8(int iterations, float seed) {
  __m256i sums[kChains];
  const __m256i factor = _mm256_set1_epi8(static_cast<char>(seed * 100));
#pragma GCC unroll 12
  for (__m256i& sum : sums) sum = factor;
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(sum, factor));
      asm("" : "+x"(sum));
    }
  }
  unsigned total = 0;
#pragma GCC unroll 12
  for (const __m256i& sum : sums)
    total += static_cast<unsigned>(_mm_cvtsi128_si32(_mm256_castsi256_si128(sum)));
  return 2.0 * 32 * kChains * iterations + (total == 1 ? 1 : 0);
}

__attribute__((target("avx2,avxvnni"))) double AvxVnniInt8(int iterations, float seed) {
  __m256i sums[kChains];
  const __m256i factor = _mm256_set1_epi8(static_cast<char>(seed * 100));
#pragma GCC unroll 12
  for (__m256i& sum : sums) sum = factor;
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      sum = _mm256_dpbusd_avx_epi32(sum, factor, factor);
      asm("" : "+x"(sum));
    }
  }
  unsigned total = 0;
#pragma GCC unroll 12
  for (const __m256i& sum : sums)
    total += static_cast<unsigned>(_mm_cvtsi128_si32(_mm256_castsi256_si128(sum)));
  return 2.0 * 32 * kChains * iterations + (total == 1 ? 1 : 0);
}
#endif

struct PeakKernels {
  PeakKernel int8 = {nullptr};
  PeakKernel f32 = {PortableFloat};
};

PeakKernels ChooseKernels() {
#if defined(__x86_64__)
  const Result<CpuLevel>& level = CpuLevelInUse();
  if (level.ok() && *level >= CpuLevel::kAvx512) return {{Avx512Int8}, {Avx512Float}};
  if (level.ok() && *level == CpuLevel::kAvxVnni) return {{AvxVnniInt8}, {Avx2Float}};
  if (level.ok() && *level == CpuLevel::kAvx2) return {{Avx2Int8}, {Avx2Float}};
#endif
  return {};
}

}  // namespace

uint64_t ReadAll(const std::byte* data, int64_t bytes, ThreadPool& pool) {
  constexpr int64_t kChunk = 256 << 10;
  constexpr int64_t kAhead = 4096;
  // A register of the least instruction set, and a sum for each in a line: with plain integers
  // GCC 12 copies the line to the stack, at less than the speed of a fast memory.
  using Words = uint64_t __attribute__((vector_size(16)));
  std::atomic<uint64_t> total = 0;
  pool.ParallelFor(bytes / kChunk, [&](int64_t chunk, int) {
    const std::byte* p = data + chunk * kChunk;
    Words sums[4] = {};
    for (int64_t i = 0; i < kChunk; i += 64) {
      Prefetch<64>(p + i + kAhead);
      if (i % 1024 == 0) PrefetchPageBeyond(p + i + kAhead);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        Words words;
        std::memcpy(&words, p + i + 16 * k, sizeof(words));
        sums[k] += words;
      }
    }
    const Words sum = sums[0] + sums[1] + sums[2] + sums[3];
    total += sum[0] + sum[1];
  });
  return total;
}

Result<std::unique_ptr<Probes>> Probes::Create(int n_threads) {
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<ThreadPool> pool,
                         ThreadPool::Create(n_threads > 0 ? n_threads : CountUsableCpus()));
  FORGE_ASSIGN_OR_RETURN(void* const memory, AllocatePages(kBytes));
  return std::unique_ptr<Probes>(new Probes(std::move(pool), static_cast<std::byte*>(memory)));
}

Probes::Probes(std::unique_ptr<ThreadPool> pool, std::byte* memory)
    : pool_(std::move(pool)), memory_(memory) {}

Probes::~Probes() { FreePages(memory_, kBytes); }

double Probes::MeasureRead() {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    ReadAll(memory_, kBytes, *pool_);
    best = std::max(best, 1e-9 * static_cast<double>(kBytes) / SecondsSince(start));
  }
  return best;
}

template <typename Kernel>
double Probes::Peak(const Kernel& kernel) {
  if (kernel.run == nullptr) return 0;
  volatile float seed = 0.5f;  // known at run time only
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<double> operations = 0;
    const auto start = std::chrono::steady_clock::now();
    pool_->ParallelFor(pool_->n_threads() * 4, [&](int64_t, int) {
      operations.fetch_add(kernel.run(kPeakIterations / 4, seed));
    });
    best = std::max(best, 1e-9 * operations.load() / SecondsSince(start));
  }
  return best;
}

MachineLimits Probes::Measure() {
  const PeakKernels kernels = ChooseKernels();
  return {
      .read_gbs = MeasureRead(), .int8_gops = Peak(kernels.int8), .f32_gflops = Peak(kernels.f32)};
}

}  // namespace forge
