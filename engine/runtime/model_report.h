#pragma once

#include "engine/gguf/gguf_file.h"
#include "engine/runtime/engine.h"

namespace forge {

// Reads what people want to know of a file beside what InspectModel says. Context plans fit if they
// take at most `available_bytes`. Fails as DescribeModel and Tokenizer::Create do.
Result<ModelReport> ReportModel(const GgufFile& file, const LoadOptions& options,
                                const Device& device, uint64_t available_bytes);

}  // namespace forge
