#pragma once

#include <string>

#include "tests/support/gguf_builder.h"
#include "tests/support/tiny_model.h"
#include "tests/support/weight_writer.h"

// The recurrent layers of tiny models.
namespace forge::testing {

// Which layers are recurrent, and their sizes.
void AddRecurrentParameters(const TinyModelOptions& options, const std::string& prefix,
                            GgufBuilder& builder);

// The weights of one in attention's place.
void AddRecurrentLayer(const TinyModelOptions& options, const std::string& prefix,
                       WeightWriter& writer, GgufBuilder& builder);

}  // namespace forge::testing
