#pragma once

#include "kernels/api/join_columns.h"
#include "kernels/api/stream.h"

namespace forge {

Status HipJoinColumns(const JoinColumnsArgs& args, Stream& stream);

}  // namespace forge
