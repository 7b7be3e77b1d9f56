#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"
#include "kernels/formats/format.h"
#include "tools/synth/model_shape.h"

namespace forge {

// What a matrix does in the model, as far as the choice of its format depends on it.
enum class MatrixRole {
  kTokenEmbedding,
  kOutput,
  kAttnQ,
  kAttnK,
  kAttnV,
  kAttnOutput,
  kAttnLatent,  // no mix gives them a format of their own
  kFfnGate,
  kFfnUp,
  kFfnDown,
};

struct Matrix {
  MatrixRole role = MatrixRole::kOutput;
  uint32_t layer = 0;      // of n_layers; any for the embedding and the output
  uint64_t n_cols = 0;     // row length
  bool is_expert = false;  // one of a stack of matrices
};

// Chooses the format of each matrix of a model file under the name that such a file has:
//  - what llama-quantize calls a type: "Q4_K_M", "Q3_K_L", "IQ3_XS", "Q4_0", "F16", ... chooses as
//    that program does without an importance matrix (llama.cpp, src/llama-quant.cpp);
//  - the name of any other format: that format everywhere, but for the output (and the embedding
//    where it is the output too), which is Q6_K as in most mixes. So "Q4_K" is not "Q4_K_M".
// Rows that are not a whole number of blocks take the next larger format of 32 elements.
class FormatMix {
 public:
  // `is_pure`: the base format in every matrix. `shape` and `n_layers` are the model's.
  // kInvalidArgument for an unknown name.
  static Result<FormatMix> Create(std::string_view name, const ModelShape& shape, uint32_t n_layers,
                                  bool is_pure);

  // kUnimplemented if the rows fit no format, or the format chosen is not in the registry.
  Result<const FormatInfo*> Choose(const Matrix& matrix) const;
  // The number that general.file_type has for files of this kind, 0 if there is none.
  uint32_t file_type() const { return file_type_; }

 private:
  FormatMix() = default;
  std::string_view ChooseName(const Matrix& matrix) const;
  std::string_view OutputName(const Matrix& matrix) const;
  bool IsPlace(int place, const Matrix& matrix) const;

  std::string name_;
  std::string base_;  // name of a format
  uint32_t file_type_ = 0;
  uint32_t n_layers_ = 0;
  uint32_t n_experts_ = 0;
  bool is_grouped_ = false;  // at least four query heads share a KV head
  bool has_tied_output_ = false;
  bool is_pure_ = false;
};

// The names of all mixes, for help.
std::vector<std::string_view> FormatMixNames();

}  // namespace forge
