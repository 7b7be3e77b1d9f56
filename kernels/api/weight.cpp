#include "kernels/api/weight.h"

#include <string>

namespace forge {

Status Validate(const WeightShape& shape) {
  const FormatInfo* format = FindFormat(shape.dtype);
  if (format == nullptr)
    return Unimplemented("weight: there are no kernels for the number format with GGUF type id " +
                         std::to_string(static_cast<uint32_t>(shape.dtype)))
        .WithReason("ARCHITECTURE_UNSUPPORTED");
  if (shape.n_rows <= 0 || shape.n_cols <= 0)
    return InvalidArgument("weight: a matrix needs rows and columns: n_rows " +
                           std::to_string(shape.n_rows) + ", n_cols " +
                           std::to_string(shape.n_cols));
  if (shape.n_cols % format->block_elements != 0)
    return InvalidArgument("weight: columns must be whole blocks of " + std::string(format->name) +
                           ": n_cols " + std::to_string(shape.n_cols) + ", block of " +
                           std::to_string(format->block_elements));
  return Status();
}

Status Validate(const WeightView& weight) {
  FORGE_TRY(Validate(weight.shape));
  if (weight.data == nullptr) return InvalidArgument("weight: data is null");
  return Status();
}

}  // namespace forge
