#pragma once

#include "kernels/api/join_columns.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuJoinColumns(const JoinColumnsArgs& args, Stream& stream);

}  // namespace forge
