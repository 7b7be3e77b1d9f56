#include "kernels/api/recurrent_state.h"

#include <string>

namespace forge {

Status Validate(const char* op, const RecurrentState& state, int64_t n_elements) {
  const std::string name(op);
  if (state.data == nullptr) return InvalidArgument(name + ": there are no states: data is null");
  if (state.from == nullptr || state.to == nullptr || state.kept_after == nullptr ||
      state.kept_to == nullptr)
    return InvalidArgument(name + ": from, to, kept_after or kept_to of the states is null");
  if (state.n_slots < 1)
    return InvalidArgument(name + ": there must be a slot for a state: n_slots " +
                           std::to_string(state.n_slots));
  if (state.slot_stride < n_elements)
    return InvalidArgument(name + ": a slot is too short for a state: slot_stride " +
                           std::to_string(state.slot_stride) + ", elements of a state " +
                           std::to_string(n_elements));
  return Status();
}

}  // namespace forge
