#pragma once

#include <cstdint>
#include <string>

#include "kernels/base/status.h"
#include "tools/synth/gguf_header.h"
#include "tools/synth/model_shape.h"
#include "tools/synth/tensor_list.h"

namespace forge {

// What a file of Gemma 4 has more than others: the inputs of layers, which come from a table of
// their own, and the keys that say where layers differ.
Status AddLayerInputTables(const ModelShape& shape, uint32_t n_layers, TensorList& list);
Status AddLayerInput(const ModelShape& shape, TensorList& list);
void AddGemma4Keys(const ModelShape& shape, uint32_t n_layers, const std::string& prefix,
                   GgufHeaderWriter& header);

}  // namespace forge
