#pragma once

#include "kernels/api/multiply_columns.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuMultiplyColumns(const MultiplyColumnsArgs& args, Stream& stream);

}  // namespace forge
