#include "kernels/cpu/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <iterator>
#include <string>

namespace forge {
namespace {

#if defined(__x86_64__)
// clang 14 cannot be asked for F16C through __builtin_cpu_supports.
bool HasF16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && HasF16c();
}

// GCC 12 cannot be asked for AVX-VNNI.
bool HasAvxVnni() {
  constexpr unsigned kAvxVnni = 1u << 4;  // of EAX of the second part of leaf 7
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kAvxVnni) != 0;
}

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

// Says whether there are AMX-BF16 and AVX512-BF16, and asks the system to let this process use the
// tile registers: Linux saves their 8 KiB only for processes that asked
// (Documentation/arch/x86/xstate.rst).
bool HasAmx() {
  constexpr unsigned kTile = 1u << 24;  // of EDX of leaf 7
  constexpr unsigned kTileBf16 = 1u << 22;
  constexpr unsigned kAvx512Bf16 = 1u << 5;  // of EAX of its second part
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kTile) == 0 || (edx & kTileBf16) == 0) return false;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((eax & kAvx512Bf16) == 0) return false;
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace

std::string_view CpuLevelName(CpuLevel level) {
  static constexpr std::string_view kNames[] = {"portable", "avx2", "avxvnni", "avx512", "amx"};
  static_assert(std::size(kNames) == std::size(kCpuLevels));
  return kNames[static_cast<int>(level)];
}

bool HasCpuLevel(CpuLevel level) {
#if defined(__x86_64__)
  if (level == CpuLevel::kPortable) return true;
  if (!HasAvx2()) return false;
  if (level == CpuLevel::kAvx2) return true;
  if (level == CpuLevel::kAvxVnni) return HasAvxVnni();
  if (!HasAvx512()) return false;
  if (level == CpuLevel::kAvx512) return true;
  static const bool kAmx = HasAmx();
  return kAmx;
#else
  return level == CpuLevel::kPortable;
#endif
}

CpuLevel HighestCpuLevel() {
  CpuLevel highest = CpuLevel::kPortable;
  for (const CpuLevel level : kCpuLevels)
    if (HasCpuLevel(level)) highest = level;
  return highest;
}

bool ShiftsWhereItMultiplies() {
#if defined(__x86_64__)
  return __builtin_cpu_is("intel") != 0;
#else
  return false;
#endif
}

Result<CpuLevel> ChooseCpuLevel(std::string_view name) {
  const CpuLevel highest = HighestCpuLevel();
  if (name.empty()) return highest;
  for (const CpuLevel level : kCpuLevels) {
    if (CpuLevelName(level) != name) continue;
    if (HasCpuLevel(level)) return level;
    return FailedPrecondition("the processor lacks the instructions of CPU level '" +
                              std::string(name) + "'; the best it has is '" +
                              std::string(CpuLevelName(highest)) + "'")
        .WithDetail("requestedLevel", name)
        .WithDetail("highestLevel", CpuLevelName(highest));
  }
  return InvalidArgument("unknown CPU level '" + std::string(name) +
                         "'; use portable, avx2, avxvnni, avx512 or amx")
      .WithDetail("requestedLevel", name);
}

const Result<CpuLevel>& CpuLevelInUse() {
  static const Result<CpuLevel> kInUse = [] {
    const char* name = std::getenv("FORGE_CPU_LEVEL");
    Result<CpuLevel> level = ChooseCpuLevel(name == nullptr ? "" : name);
    if (level.ok()) return level;
    return Result<CpuLevel>(level.status().WithContext("FORGE_CPU_LEVEL"));
  }();
  return kInUse;
}

}  // namespace forge
