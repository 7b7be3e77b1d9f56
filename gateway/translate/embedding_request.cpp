#include "gateway/translate/embedding_request.h"

#include "gateway/translate/token_ids.h"

namespace forge::gateway {

namespace {

constexpr size_t kMostInputs = 2048;  // OpenAI's own limit

Status ReadInput(const Json& json, const std::string& name, v1::EmbedRequest& request) {
  if (json.is_string()) {
    request.add_inputs()->mutable_text()->set_text(json.get<std::string>());
    return Status();
  }
  if (json.is_array()) return ReadTokenIds(json, name, *request.add_inputs()->mutable_tokens());
  return BadField(name, "must be a string or an array of token ids");
}

Status ReadInputs(const Json& input, v1::EmbedRequest& request) {
  const bool is_list = input.is_array() && !input.empty() && !input.front().is_number();
  if (!is_list) return ReadInput(input, "input", request);
  if (input.size() > kMostInputs)
    return BadField("input", "has " + std::to_string(input.size()) + " texts, more than " +
                                 std::to_string(kMostInputs));
  for (size_t i = 0; i < input.size(); ++i)
    FORGE_TRY(ReadInput(input[i], "input[" + std::to_string(i) + "]", request));
  return Status();
}

}  // namespace

Result<EmbeddingRequest> ReadEmbeddingRequest(const Json& body) {
  const Fields fields{body, ""};
  EmbeddingRequest request;
  FORGE_ASSIGN_OR_RETURN(const auto model, fields.Text("model"));
  if (!model || model->empty())
    return BadField("model", "is missing; GET /v1/models lists the models");
  request.embed.set_model(*model);
  if (fields.Find("dimensions") != nullptr)
    return BadField("dimensions", "is not supported: vectors are as long as the model makes them");
  FORGE_ASSIGN_OR_RETURN(const auto format, fields.Text("encoding_format"));
  request.is_base64 = format == "base64";
  if (format && format != "float" && format != "base64")
    return BadField("encoding_format", "must be float or base64");
  const Json* const input = fields.Find("input");
  if (input == nullptr) return BadField("input", "is missing");
  FORGE_TRY(ReadInputs(*input, request.embed));
  return request;
}

}  // namespace forge::gateway
