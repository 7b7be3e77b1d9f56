#pragma once

#include "kernels/api/multiply_columns.h"
#include "kernels/api/stream.h"

namespace forge {

Status HipMultiplyColumns(const MultiplyColumnsArgs& args, Stream& stream);

}  // namespace forge
