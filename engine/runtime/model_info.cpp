#include "engine/runtime/model_info.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/model/model_plan.h"
#include "engine/text/chat_template.h"
#include "kernels/formats/format.h"

namespace forge {
namespace {

void DescribeConfig(const ModelConfig& config, ModelFileInfo& info) {
  info.architecture = config.architecture;
  info.name = config.name;
  info.n_layers = config.n_layers;
  info.n_embd = config.n_embd;
  info.n_heads = config.n_heads;
  info.n_kv_heads = config.n_kv_heads;
  info.head_dim = config.head_dim;
  info.n_vocab = config.n_vocab;
  info.n_context_train = config.n_context_train;
  info.longest_context = LongestContext(config);
  info.is_encoder = config.is_encoder;
}

// The numbers of llama.cpp's file format. Those of no pooling and of ranking, which a model that is
// not told otherwise cannot embed with, count as absent.
Result<Pooling> ReadPooling(const GgufFile& file, const std::string& architecture) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> type,
                         file.metadata().Uint32(architecture + ".pooling_type"));
  if (type == 2u) return Pooling::kCls;
  if (type == 3u) return Pooling::kLast;
  return Pooling::kMean;
}

Status DescribeFile(const GgufFile& file, ModelFileInfo& info) {
  info.file_bytes = file.size_bytes();
  std::map<std::string, uint64_t> format_bytes;
  for (const GgufTensor& tensor : file.tensors()) {
    info.n_parameters += tensor.row_elements() * tensor.n_rows();
    const FormatInfo* format = FindFormat(tensor.dtype);
    const std::string name = format != nullptr
                                 ? std::string(format->name)
                                 : "type " + std::to_string(static_cast<uint32_t>(tensor.dtype));
    format_bytes[name] += tensor.size_bytes;
  }
  info.format_bytes.assign(format_bytes.begin(), format_bytes.end());
  std::stable_sort(info.format_bytes.begin(), info.format_bytes.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  const Result<ChatTemplate> chat_template = ChatTemplate::Create(file.metadata());
  if (chat_template.ok()) {
    info.chat_template = chat_template->description();
    info.chat_template_is_fallback = chat_template->is_fallback();
    info.chat_template_takes_tools = chat_template->takes_tools();
  } else {
    info.chat_template_error = chat_template.status().message();
  }
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> tokenizer,
                         file.metadata().String("tokenizer.ggml.model"));
  info.tokenizer = tokenizer.value_or(std::string_view());
  return Status();
}

void DescribePlan(const ModelPlan& plan, ModelFileInfo& info) {
  info.context_length = plan.kv.context_length;
  info.max_sequences = plan.kv.max_sequences;
  info.prefill_chunk = plan.options.prefill_chunk;
  info.kv_dtype = plan.kv.dtype;
  info.weights_bytes = plan.weights_bytes;
  info.kv_bytes = plan.kv.total_bytes;
  info.scratch_bytes = plan.scratch.total_bytes;
}

}  // namespace

Result<ModelFileInfo> InspectModel(const GgufFile& file, const LoadOptions& options,
                                   const Device& device) {
  FORGE_ASSIGN_OR_RETURN(const ModelDescription description, DescribeModel(file));
  FORGE_ASSIGN_OR_RETURN(const ModelPlan plan, PlanModel(description, file, options, device));
  ModelFileInfo info;
  info.device = device.info().id;
  DescribeConfig(description.config, info);
  DescribePlan(plan, info);
  FORGE_TRY(DescribeFile(file, info));
  FORGE_ASSIGN_OR_RETURN(info.pooling, ReadPooling(file, info.architecture));
  return info;
}

}  // namespace forge
