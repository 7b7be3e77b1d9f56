#pragma once

#include <cstdint>
#include <string>

#include "bench/speed_test.h"
#include "kernels/api/ragged_batch.h"
#include "kernels/base/result.h"

namespace forge {

// What one token costs by the model's tensors: the least that any engine has to read and compute.
struct ModelCost {
  uint64_t weight_bytes = 0;       // read for one token: of experts, those used; of a separate
                                   // embedding and of tables of layers' inputs, nothing
  uint64_t multiplied = 0;         // weights a token is multiplied with, but for the output's
  uint64_t output_multiplied = 0;  // the output's, which of a prompt only the last token needs
  uint64_t kv_elements = 0;        // keys and values of one position

  // Bytes that a generated token reads, on average over the test.
  double BytesPerToken(const SpeedTest& test, KvDType kv_dtype = KvDType::kF16) const;
};

// Reads it from the header of a model file. Errors of GgufFile::Open, kInvalidArgument for keys
// that are missing.
Result<ModelCost> ReadModelCost(const std::string& path);

}  // namespace forge
