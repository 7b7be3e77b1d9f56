#pragma once

#include <string_view>

#include "kernels/base/result.h"

namespace forge {

// The instruction sets that CPU kernels are written for, the better ones later. Each includes those
// before it, except that processors with AVX-512 need not have AVX-VNNI.
enum class CpuLevel {
  kPortable,  // plain C++
  kAvx2,      // AVX2, FMA, F16C
  kAvxVnni,   // AVX2 and AVX-VNNI
  kAvx512,    // AVX-512 F, BW, DQ, VL and VNNI
  kAmx,       // AVX512-BF16 and AMX-BF16, with the system's leave to use it
};

constexpr CpuLevel kCpuLevels[] = {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvxVnni,
                                   CpuLevel::kAvx512, CpuLevel::kAmx};

// "portable", "avx2", "avxvnni", "avx512" or "amx".
std::string_view CpuLevelName(CpuLevel level);

// Whether this processor and its operating system support `level`.
bool HasCpuLevel(CpuLevel level);

// The best level that they support.
CpuLevel HighestCpuLevel();

// Whether this processor shifts and masks 512 bits on the ports that multiply them, as Intel's do:
// vectors of 512 bits have ports 0 and 5 there (Intel's optimization manual, Skylake Server), and
// what that costs was measured (docs/cpu-matmul.md). AMD's have more ports for it.
bool ShiftsWhereItMultiplies();

// The level that `name` asks for; empty asks for the highest. kInvalidArgument for an unknown name,
// kFailedPrecondition for a level that this processor lacks.
Result<CpuLevel> ChooseCpuLevel(std::string_view name);

// The level in use: ChooseCpuLevel of the environment variable FORGE_CPU_LEVEL, read once. A test
// or a measurement sets it to run on a lower level than the processor has.
const Result<CpuLevel>& CpuLevelInUse();

}  // namespace forge
