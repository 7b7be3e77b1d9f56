#pragma once

#include <cstdint>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/memory/arena.h"
#include "engine/model/load_progress.h"
#include "engine/model/model_plan.h"
#include "kernels/api/device.h"
#include "kernels/base/status.h"

namespace forge {

// How a load uses the host. The defaults suit a solid-state disk and any model.
struct WeightLoaderOptions {
  uint64_t slice_bytes = uint64_t{4} << 20;    // read and packed at a time; at least one row group
  uint64_t staging_bytes = kMaxRowGroupBytes;  // of all threads together; at least one slice
  unsigned n_threads = 0;                      // 0: as many as CountUsableCpus()
};

// Reads the weights of a file into an arena, in the device's own layout: matrices packed, vectors
// as float32.
//
// Several threads take slices of whole row groups, in file order, so that reading, packing and
// copying overlap. Reads every byte once and holds no more of the file in host memory than the
// staging of the slices in work.
//
// Blocks; all work on the device is done when it returns. kCancelled if `progress` said so,
// kAborted (reason MODEL_FILE_CHANGED) if the file was changed, kDataLoss if it became shorter,
// kResourceExhausted if the host has no memory or threads, else what the device says. The arena's
// contents are undefined then.
Status LoadWeights(const GgufFile& file, const std::vector<WeightPlacement>& weights,
                   Device& device, const Arena& arena, ProgressReporter& progress,
                   const WeightLoaderOptions& options = {});

}  // namespace forge
