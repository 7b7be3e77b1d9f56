#include "engine/runtime/step_context.h"

namespace forge {

Status StepContext::Norm(const float* weight, const float* x, float* y, int n_rows) const {
  return ops().rms_norm({.x = x,
                         .weight = weight,
                         .y = y,
                         .n_rows = n_rows,
                         .dim = static_cast<int>(config().n_embd),
                         .epsilon = config().rms_epsilon},
                        stream_);
}

}  // namespace forge
