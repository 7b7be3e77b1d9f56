#include "tests/conformance/expand_weights.h"

#include <span>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "kernels/formats/format.h"
#include "tests/conformance/copy_model.h"
#include "tests/support/gguf_builder.h"

namespace forge::testing {
namespace {

std::vector<float> Dequantize(const GgufFile& file, const GgufTensor& tensor) {
  const FormatInfo& format = *FindFormat(tensor.dtype);
  const std::vector<std::byte> bytes = ReadTensor(file, tensor);
  std::vector<float> values(tensor.row_elements() * tensor.n_rows());
  format.dequantize(bytes.data(), values.size() / format.block_elements, values.data());
  return values;
}

}  // namespace

std::string ExpandWeights(const std::filesystem::path& path) {
  const std::unique_ptr<GgufFile> file = GgufFile::Open(path.string()).value();
  GgufBuilder builder;
  CopyMetadata(*file, builder);
  for (const GgufTensor& tensor : file->tensors())
    builder.AddF32Tensor(tensor.name,
                         std::span(tensor.shape).first(static_cast<size_t>(tensor.n_dims)),
                         Dequantize(*file, tensor));
  return builder.Build();
}

}  // namespace forge::testing
