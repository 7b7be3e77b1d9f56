#pragma once

#include <cstdint>

namespace forge {

// What a step does with the slots of recurrent layers (StatePlan) for one sequence, as
// RecurrentState has it.
struct StateSlots {
  int32_t from = -1;        // -1: the sequence begins
  int32_t to = -1;          // -1: the model has no recurrent layers
  uint32_t kept_after = 0;  // tokens of the step
  int32_t kept_to = -1;
};

}  // namespace forge
