#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/runtime/drafter.h"
#include "engine/runtime/step_cost.h"

namespace forge {

// How many tokens of each draft a step should compute beside one token of each sequence, `most` in
// all: as many as give the most tokens a second. A draft that is right gives its sequence another
// token in the same step; each token of it makes the step longer, right or not.
std::vector<size_t> ChooseDrafts(std::span<const Draft* const> drafts, size_t most,
                                 const StepCost& cost);

}  // namespace forge
