#pragma once

#include <cstddef>
#include <span>

#include "daemon/residency/residency_policy.h"

namespace forge {

// A device that could take a model, and what would have to be done there.
struct DeviceCandidate {
  bool is_cpu = false;
  bool is_paused = false;  // by memory pressure: nothing is loaded there for now
  ResidencyDecision decision = {};
};

// The place of the device that `auto` means: where the model fits without eviction, then any where
// it does not have to be refused; among those a GPU before the CPU, then where room can be made at
// once before where it has to be waited for, then the cheapest eviction, then the first. Pure.
//
// REQUIRES: there is at least one.
size_t ChooseDevice(std::span<const DeviceCandidate> candidates);

}  // namespace forge
