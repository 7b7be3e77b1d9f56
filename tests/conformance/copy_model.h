#pragma once

#include <cstddef>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "tests/support/gguf_builder.h"

namespace forge::testing {

// Adds all metadata of `file`. Aborts on a type that model tools do not write.
void CopyMetadata(const GgufFile& file, GgufBuilder& builder);

// A tensor's bytes. Aborts if they cannot be read.
std::vector<std::byte> ReadTensor(const GgufFile& file, const GgufTensor& tensor);

// Adds a tensor with a name and shape as they are in a file, of type `dtype` and with these bytes.
void AddTensorLike(const GgufTensor& tensor, DType dtype, const std::vector<std::byte>& bytes,
                   GgufBuilder& builder);

}  // namespace forge::testing
