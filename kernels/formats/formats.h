#pragma once

#include <tuple>

#include "kernels/formats/bf16.h"
#include "kernels/formats/f16.h"
#include "kernels/formats/f32.h"
#include "kernels/formats/iq1_m.h"
#include "kernels/formats/iq1_s.h"
#include "kernels/formats/iq2_s.h"
#include "kernels/formats/iq2_xs.h"
#include "kernels/formats/iq2_xxs.h"
#include "kernels/formats/iq3_s.h"
#include "kernels/formats/iq3_xxs.h"
#include "kernels/formats/iq4_nl.h"
#include "kernels/formats/iq4_xs.h"
#include "kernels/formats/mxfp4.h"
#include "kernels/formats/q2_k.h"
#include "kernels/formats/q3_k.h"
#include "kernels/formats/q4_0.h"
#include "kernels/formats/q4_1.h"
#include "kernels/formats/q4_k.h"
#include "kernels/formats/q5_0.h"
#include "kernels/formats/q5_1.h"
#include "kernels/formats/q5_k.h"
#include "kernels/formats/q6_k.h"
#include "kernels/formats/q8_0.h"
#include "kernels/formats/tq1_0.h"
#include "kernels/formats/tq2_0.h"

namespace forge {

// The one list of formats; tables, kernels and typed tests iterate it. Ascending GGUF type ids.
//
// A format is a struct with kDType, kName, kBlockElements, Block (the bytes in the file, without
// padding) and Dequantize(block, y), the values it defines. A quantised one also has
// Unpack(block, codes), which writes its integers as unsigned codes, and, if these are offset by a
// constant, that constant as kZero. Where integers are looked up in a table of sixteen it has that
// as Table, with kCodes and kZero, and UnpackIndices(block, indices). What the formats of
// expanded.h have is said there.
using Formats = std::tuple<F32Format, F16Format, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K,
                           Q5_K, Q6_K, IQ2_XXS, IQ2_XS, IQ3_XXS, IQ1_S, IQ4_NL, IQ3_S, IQ2_S,
                           IQ4_XS, IQ1_M, Bf16Format, TQ1_0, TQ2_0, MXFP4>;

}  // namespace forge
