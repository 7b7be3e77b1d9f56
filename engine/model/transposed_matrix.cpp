#include "engine/model/transposed_matrix.h"

#include <cstring>
#include <string>

#include "kernels/base/check.h"
#include "kernels/base/half.h"
#include "kernels/formats/formats.h"

namespace forge {
namespace {

template <typename T>
void Put(std::vector<std::byte>& bytes, size_t index, T value) {
  std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
}

void PutNumber(DType dtype, std::vector<std::byte>& bytes, size_t index, float value) {
  if (dtype == F32Format::kDType)
    Put(bytes, index, value);
  else if (dtype == Bf16Format::kDType)
    Put(bytes, index, ToBf16(value));
  else
    Put(bytes, index, ToF16(value));
}

}  // namespace

std::vector<std::byte> TransposedMatrix::Rows(int64_t first_row, int64_t n_rows) const {
  const FormatInfo& from = *FindFormat(weight_.file_dtype);
  const FormatInfo& to = *FindFormat(weight_.shape.dtype);
  FORGE_CHECK(first_row % from.block_elements == 0 && n_rows % from.block_elements == 0,
              std::to_string(first_row) + ", " + std::to_string(n_rows) + " rows");
  const auto n = static_cast<size_t>(n_rows), n_cols = static_cast<size_t>(weight_.shape.n_cols);
  std::vector<float> column(n);
  std::vector<std::byte> rows(n * n_cols * to.block_bytes);
  const size_t first_byte = static_cast<size_t>(first_row) / from.block_elements * from.block_bytes;
  for (size_t c = 0; c < n_cols; ++c) {
    from.dequantize(file_rows_ + c * weight_.file_row_bytes + first_byte, n / from.block_elements,
                    column.data());
    for (size_t r = 0; r < n; ++r) PutNumber(weight_.shape.dtype, rows, r * n_cols + c, column[r]);
  }
  return rows;
}

}  // namespace forge
