#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "engine/arch/architecture.h"
#include "engine/arch/transformer.h"
#include "engine/gguf/gguf_fault.h"
#include "engine/gguf/tensor_types.h"
#include "kernels/formats/format.h"

namespace forge {
namespace {

std::string ShapeText(std::span<const uint64_t> shape) {
  std::string text(1, '[');
  for (const uint64_t extent : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(extent);
  }
  return text + "]";
}

std::string KnownFamilies() {
  std::string names;
  for (const Architecture& architecture : Architectures()) {
    if (!names.empty()) names += ", ";
    names += architecture.name;
  }
  return names;
}

GgufField KeyField(const GgufMetadata& metadata, std::string_view key) {
  const GgufValue* const value = metadata.Find(key);
  return {std::string(key), DescribeValue(*value), value->offset};
}

Result<const Architecture*> ChooseArchitecture(const GgufMetadata& metadata) {
  constexpr std::string_view kType = "general.type", kArchitecture = "general.architecture";
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> type, metadata.String(kType));
  if (type && *type != "model")
    return UnsupportedField("the file holds no whole model", KeyField(metadata, kType));
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> name,
                         metadata.String(kArchitecture));
  if (!name) return MissingField("the key is required", kArchitecture);
  const Architecture* const architecture = FindArchitecture(*name);
  if (architecture == nullptr)
    return UnsupportedField("the engine knows the families " + KnownFamilies(),
                            KeyField(metadata, kArchitecture));
  return architecture;
}

Status CheckFormat(const GgufTensor& tensor, bool is_vector) {
  const FormatInfo* const format = FindFormat(tensor.dtype);
  const GgufField field = {tensor.name + " (type)", std::string(TensorTypeName(tensor.dtype)),
                           tensor.info_offset_bytes};
  if (format == nullptr)
    return UnsupportedField("the engine has no format for this tensor type", field);
  if (is_vector && format->block_elements != 1)
    return UnsupportedField("a norm, bias or factor tensor is F32, F16 or BF16", field);
  return Status();
}

// T13: the shape of a tensor is what its specs together take, whatever its size in bytes is.
Status CheckTensor(const GgufTensor& tensor, const TensorSpec& spec, uint64_t n_rows_or_elements) {
  std::array<uint64_t, 4> expected = {1, 1, 1, 1};
  size_t n_dims = 0;
  if (!spec.is_vector) expected[n_dims++] = spec.n_cols;
  const bool is_sliced_by_rows = spec.slice_stride != 0;
  expected[n_dims++] = n_rows_or_elements * (is_sliced_by_rows ? spec.n_slices : 1);
  if (spec.n_slices != 1 && !is_sliced_by_rows) expected[n_dims++] = spec.n_slices;
  if (tensor.shape != expected)
    return InvalidField(
        "by the model's keys the tensor has shape " + ShapeText(std::span(expected).first(n_dims)),
        {tensor.name + " (shape)",
         ShapeText(std::span(tensor.shape).first(static_cast<size_t>(tensor.n_dims))),
         tensor.info_offset_bytes});
  return CheckFormat(tensor, spec.is_vector);
}

// The experts of a layer lie one after the other in memory, so all take the same room. `previous`:
// the tensor of the spec before, unless there is none.
Status CheckExpertFormat(const GgufTensor& tensor, const TensorSpec& spec,
                         const GgufTensor* previous) {
  if (spec.expert == 0 || previous == nullptr || tensor.dtype == previous->dtype) return Status();
  return UnsupportedField("the matrices of a layer's experts are of one type, here " +
                              std::string(TensorTypeName(previous->dtype)),
                          {tensor.name + " (type)", std::string(TensorTypeName(tensor.dtype)),
                           tensor.info_offset_bytes});
}

// Tensors that hold nothing the forward pass lacks: rotary frequencies that old converters wrote
// out, which follow from rope.freq_base.
bool IsRedundant(std::string_view name) {
  return name.starts_with("blk.") && name.find(".attn_rot_embd") != std::string_view::npos;
}

// Of a layer that the model has and the engine leaves out, or of the keys and values of one that
// attends to another's: checkpoints may still have what the trained model does not use.
bool IsLeftOut(std::string_view name, const ModelConfig& config) {
  for (uint32_t i = 0; i < config.n_shared_kv_layers; ++i)
    for (const char* const unused : {"attn_k.weight", "attn_v.weight", "attn_k_norm.weight"})
      if (name == LayerTensorName(config.n_layers - 1 - i, unused)) return true;
  for (uint32_t i = 0; i < config.n_left_out_layers; ++i)
    if (name.starts_with("blk." + std::to_string(config.n_layers + i) + '.')) return true;
  return false;
}

Status CheckTensors(const GgufFile& file, const ModelDescription& model) {
  // Rows of a matrix, elements of a vector, that the specs take from each slice of each tensor.
  std::map<std::string_view, uint64_t> taken;
  for (const TensorSpec& spec : model.tensors)
    taken[spec.file_tensor] += spec.is_vector ? spec.n_cols : spec.n_rows;
  const GgufTensor* previous = nullptr;
  for (const TensorSpec& spec : model.tensors) {
    const GgufTensor* const tensor = file.FindTensor(spec.file_tensor);
    if (tensor == nullptr)
      return MissingField("a model of family " + model.config.architecture +
                              " with these keys and tensors has this tensor",
                          spec.file_tensor);
    FORGE_TRY(CheckTensor(*tensor, spec, taken[spec.file_tensor]));
    FORGE_TRY(CheckExpertFormat(*tensor, spec, std::exchange(previous, tensor)));
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (taken.contains(tensor.name) || IsRedundant(tensor.name) ||
        IsLeftOut(tensor.name, model.config))
      continue;
    return UnsupportedField(
        "the engine's family " + model.config.architecture +
            " has no use for this tensor, and leaving it out would change the answers",
        {tensor.name, std::string(TensorTypeName(tensor.dtype)), tensor.info_offset_bytes});
  }
  return Status();
}

Result<ModelDescription> Describe(const GgufFile& file) {
  FORGE_ASSIGN_OR_RETURN(const Architecture* const architecture,
                         ChooseArchitecture(file.metadata()));
  ModelDescription model;
  FORGE_ASSIGN_OR_RETURN(model.config, architecture->read_config(file));
  model.tensors = architecture->tensors(model.config);
  FORGE_TRY(CheckTensors(file, model));
  return model;
}

}  // namespace

Result<ModelDescription> DescribeModel(const GgufFile& file) {
  Result<ModelDescription> model = Describe(file);
  if (!model.ok()) return model.status().WithContext("model file " + QuoteText(file.path()));
  return model;
}

}  // namespace forge
