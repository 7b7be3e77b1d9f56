#pragma once

#include "kernels/cpu/matmul_kernels.h"

namespace forge::testing {

// The kernels of matmul_avxvnni.cpp with AVX2 code in place of the two instructions that AVX-VNNI
// adds, so that they run on every processor with AVX2. Those of one token and of a tile of
// kTileTokens; the others are null, since they are made of the same functions and would take a
// minute more to compile.
extern const MatmulKernels kMatmulKernelsAvxVnniStandIn;

}  // namespace forge::testing
