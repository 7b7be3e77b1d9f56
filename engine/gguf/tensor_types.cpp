#include "engine/gguf/tensor_types.h"

#include <algorithm>
#include <iterator>

namespace forge {
namespace {

// Ascending by id. 4, 5, 31 to 33 and 36 to 38 were removed from the format.
constexpr TensorType kTypes[] = {
    {DType{0}, "F32", 1, 4},         {DType{1}, "F16", 1, 2},
    {DType{2}, "Q4_0", 32, 18},      {DType{3}, "Q4_1", 32, 20},
    {DType{6}, "Q5_0", 32, 22},      {DType{7}, "Q5_1", 32, 24},
    {DType{8}, "Q8_0", 32, 34},      {DType{9}, "Q8_1", 32, 36},
    {DType{10}, "Q2_K", 256, 84},    {DType{11}, "Q3_K", 256, 110},
    {DType{12}, "Q4_K", 256, 144},   {DType{13}, "Q5_K", 256, 176},
    {DType{14}, "Q6_K", 256, 210},   {DType{15}, "Q8_K", 256, 292},
    {DType{16}, "IQ2_XXS", 256, 66}, {DType{17}, "IQ2_XS", 256, 74},
    {DType{18}, "IQ3_XXS", 256, 98}, {DType{19}, "IQ1_S", 256, 50},
    {DType{20}, "IQ4_NL", 32, 18},   {DType{21}, "IQ3_S", 256, 110},
    {DType{22}, "IQ2_S", 256, 82},   {DType{23}, "IQ4_XS", 256, 136},
    {DType{24}, "I8", 1, 1},         {DType{25}, "I16", 1, 2},
    {DType{26}, "I32", 1, 4},        {DType{27}, "I64", 1, 8},
    {DType{28}, "F64", 1, 8},        {DType{29}, "IQ1_M", 256, 56},
    {DType{30}, "BF16", 1, 2},       {DType{34}, "TQ1_0", 256, 54},
    {DType{35}, "TQ2_0", 256, 66},   {DType{39}, "MXFP4", 32, 17},
};

}  // namespace

const TensorType* FindTensorType(DType dtype) {
  const auto* const found = std::ranges::lower_bound(kTypes, dtype, {}, &TensorType::dtype);
  return found != std::end(kTypes) && found->dtype == dtype ? found : nullptr;
}

std::string_view TensorTypeName(DType dtype) {
  const TensorType* const type = FindTensorType(dtype);
  return type != nullptr ? type->name : "unknown";
}

}  // namespace forge
