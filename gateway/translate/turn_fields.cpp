#include "gateway/translate/turn_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace forge::gateway {

namespace {

using Turn = v1::GenerateRequest::Turn;

// Of OpenAI's API and of servers that speak it.
constexpr UnsupportedField kRefused[] = {
    {"audio", "is not supported: answers are text"},
    {"functions", "is not supported: use tools"},
    {"function_call", "is not supported: use tool_choice"},
    {"web_search_options", "is not supported: nothing is searched"},
    {"suffix", "is not supported: write the model's own tokens for filling in into the prompt"},
    {"echo", "is not supported: the prompt is not repeated"},
    {"use_beam_search", "is not supported"},
    {"min_tokens", "is not supported"},
    {"mirostat", "is not supported: use temperature, top_p, top_k, min_p or typical_p"},
    {"dry_multiplier", "is not supported: use repetition_penalty"},
    {"xtc_probability", "is not supported: use temperature, top_p, top_k, min_p or typical_p"},
    {"json_schema", "is not supported: use response_format"},
    {"guided_json", "is not supported: use response_format"},
    {"guided_regex", "is not supported: use response_format or grammar"},
    {"guided_choice", "is not supported: use response_format or grammar"},
    {"guided_grammar", "is not supported: use grammar"},
    {"structured_outputs", "is not supported: use response_format or grammar"},
};

bool AsksForNothing(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0.0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();
}

Status RefuseUnsupported(const Fields& body) {
  FORGE_TRY(RefuseFields(body, kRefused));
  for (const char* const name : {"n", "best_of"}) {
    FORGE_ASSIGN_OR_RETURN(const auto count, body.Integer(name));
    if (count.value_or(1) != 1)
      return BadField(name, "is " + std::to_string(*count) +
                                ", but must be 1: send as many requests as you want answers");
  }
  return Status();
}

// Sets a field of `message` where the body has it under one of two names.
template <typename Message>
Status SetNumber(const Fields& body, const char* name, Message& message,
                 void (Message::*set)(float)) {
  FORGE_ASSIGN_OR_RETURN(const auto value, body.Number(name));
  if (value) (message.*set)(*value);
  return Status();
}

Status CheckRange(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return Status();
  return BadField(name, "is " + std::to_string(value) + ", but must be from " +
                            std::to_string(least) + " to " + std::to_string(most));
}

Status ReadBias(const Fields& body, v1::SamplingOptions& sampling) {
  FORGE_ASSIGN_OR_RETURN(const Json* const biases, body.Object("logit_bias"));
  if (biases == nullptr) return Status();
  const Fields fields{*biases, "logit_bias."};
  for (const auto& [name, value] : biases->items()) {
    int32_t token = 0;
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data(), end, token);
    if (error != std::errc() || rest != end)
      return BadField("logit_bias", "has the name '" + name + "', which is no token id");
    FORGE_ASSIGN_OR_RETURN(const auto bias, fields.Number(name.c_str()));
    if (bias) (*sampling.mutable_logit_bias())[token] = *bias;
  }
  return Status();
}

Status ReadStopTokens(const Fields& body, Turn& turn) {
  FORGE_ASSIGN_OR_RETURN(const Json* const tokens, body.Array("stop_token_ids"));
  if (tokens == nullptr) return Status();
  for (const Json& token : *tokens) {
    if (!token.is_number_integer())
      return BadField("stop_token_ids", "must be an array of token ids");
    FORGE_TRY(
        CheckRange("stop_token_ids", token.get<int64_t>(), 0, std::numeric_limits<int32_t>::max()));
    turn.add_stop_tokens(token.get<int32_t>());
  }
  return Status();
}

Status ReadConstraint(const Fields& body, Turn& turn) {
  FORGE_ASSIGN_OR_RETURN(const auto grammar, body.Text("grammar"));
  if (grammar && !grammar->empty()) turn.set_grammar(*grammar);
  FORGE_ASSIGN_OR_RETURN(const Json* const format, body.Object("response_format"));
  if (format == nullptr) return Status();
  return ReadFormat(*format, "response_format", SchemaPlace::kInJsonSchema, turn);
}

}  // namespace

Status RefuseFields(const Fields& body, std::span<const UnsupportedField> refused) {
  for (const UnsupportedField& field : refused) {
    const Json* const value = body.Find(field.name);
    if (value != nullptr && !AsksForNothing(*value)) return BadField(field.name, field.instead);
  }
  return Status();
}

Status ReadModel(const Fields& body, Turn& turn) {
  FORGE_ASSIGN_OR_RETURN(const auto model, body.Text("model"));
  if (!model || model->empty())
    return BadField("model", "is missing; GET /v1/models lists the models");
  turn.set_model(*model);
  return Status();
}

Status ReadSampling(const Fields& body, v1::SamplingOptions& sampling) {
  using Options = v1::SamplingOptions;
  FORGE_TRY(SetNumber(body, "temperature", sampling, &Options::set_temperature));
  FORGE_TRY(SetNumber(body, "top_p", sampling, &Options::set_top_p));
  FORGE_TRY(SetNumber(body, "min_p", sampling, &Options::set_min_p));
  FORGE_TRY(SetNumber(body, "typical_p", sampling, &Options::set_typical_p));
  FORGE_TRY(SetNumber(body, "presence_penalty", sampling, &Options::set_presence_penalty));
  FORGE_TRY(SetNumber(body, "frequency_penalty", sampling, &Options::set_frequency_penalty));
  // llama-server's name, then that of vLLM, which counts where both are given.
  FORGE_TRY(SetNumber(body, "repeat_penalty", sampling, &Options::set_repetition_penalty));
  FORGE_TRY(SetNumber(body, "repetition_penalty", sampling, &Options::set_repetition_penalty));
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  FORGE_ASSIGN_OR_RETURN(const auto top_k, body.Integer("top_k"));
  if (top_k) {  // vLLM's "off" is -1
    FORGE_TRY(CheckRange("top_k", *top_k, -1, kMost));
    sampling.set_top_k(static_cast<int32_t>(std::max<int64_t>(0, *top_k)));
  }
  FORGE_ASSIGN_OR_RETURN(const auto window, body.Integer("repeat_last_n"));
  if (window) {
    FORGE_TRY(CheckRange("repeat_last_n", *window, -1, kMost));
    sampling.set_penalty_window(static_cast<int32_t>(*window));
  }
  FORGE_ASSIGN_OR_RETURN(const auto seed, body.Integer("seed"));
  if (seed) sampling.set_seed(static_cast<uint64_t>(*seed));
  return ReadBias(body, sampling);
}

Status ReadStopStrings(const Fields& body, const char* name, Turn& turn) {
  const Json* const stop = body.Find(name);
  if (stop == nullptr) return Status();
  if (stop->is_string()) {
    turn.add_stop_strings(stop->get<std::string>());
    return Status();
  }
  const auto is_text = [](const Json& item) { return item.is_string(); };
  if (!stop->is_array() || !std::all_of(stop->begin(), stop->end(), is_text))
    return BadField(name, "must be a string or an array of strings");
  for (const Json& item : *stop) turn.add_stop_strings(item.get<std::string>());
  return Status();
}

Status ReadLimit(const Fields& body, const char* name, Turn& turn) {
  FORGE_ASSIGN_OR_RETURN(const auto count, body.Integer(name));
  if (!count) return Status();
  if (*count == 0)
    return BadField(name, "is 0; leave it out where the model is to decide, or give 1 or more");
  FORGE_TRY(CheckRange(name, *count, -1, std::numeric_limits<uint32_t>::max()));
  turn.set_max_tokens(*count == -1 ? 0 : static_cast<uint32_t>(*count));
  return Status();
}

Status ReadFormat(const Json& format, const std::string& name, SchemaPlace place, Turn& turn) {
  const Fields fields{format, name + "."};
  FORGE_ASSIGN_OR_RETURN(const auto given, fields.Text("type"));
  const std::string type = given.value_or("");
  if (type == "text") return Status();
  if (turn.has_grammar())
    return BadField("grammar", "and " + name + " cannot both say what the answer looks like");
  if (type == "json_object") {  // llama-server and others take a schema beside it
    FORGE_ASSIGN_OR_RETURN(const Json* const schema, fields.Object("schema"));
    turn.set_json_schema(schema == nullptr ? R"({"type": "object"})" : Dump(*schema));
    return Status();
  }
  if (type != "json_schema")
    return BadField(fields.NameOf("type"), "must be text, json_object or json_schema");
  const bool is_nested = place == SchemaPlace::kInJsonSchema;
  FORGE_ASSIGN_OR_RETURN(const Json* const holder,
                         is_nested ? fields.Object("json_schema") : Result<const Json*>(&format));
  const Json* const schema = holder == nullptr ? nullptr : Fields{*holder, ""}.Find("schema");
  if (schema == nullptr)
    return BadField(fields.NameOf(is_nested ? "json_schema.schema" : "schema"), "is missing");
  turn.set_json_schema(Dump(*schema));
  return Status();
}

Status ReadTurnFields(const Fields& body, Turn& turn) {
  FORGE_TRY(ReadModel(body, turn));
  FORGE_TRY(RefuseUnsupported(body));
  FORGE_TRY(ReadSampling(body, *turn.mutable_sampling()));
  FORGE_TRY(ReadStopStrings(body, "stop", turn));
  FORGE_TRY(ReadStopTokens(body, turn));
  FORGE_TRY(ReadLimit(body, "max_tokens", turn));
  FORGE_TRY(ReadLimit(body, "max_completion_tokens", turn));  // the newer name counts
  FORGE_ASSIGN_OR_RETURN(const auto ignore_end, body.Bool("ignore_eos"));
  turn.set_ignore_end_of_text(ignore_end.value_or(false));
  return ReadConstraint(body, turn);
}

Result<Delivery> ReadDelivery(const Fields& body) {
  Delivery delivery;
  FORGE_ASSIGN_OR_RETURN(const auto stream, body.Bool("stream"));
  delivery.stream = stream.value_or(false);
  FORGE_ASSIGN_OR_RETURN(const Json* const options, body.Object("stream_options"));
  if (options == nullptr) return delivery;
  const Fields fields{*options, "stream_options."};
  FORGE_ASSIGN_OR_RETURN(const auto include_usage, fields.Bool("include_usage"));
  delivery.include_usage = include_usage.value_or(false);
  return delivery;
}

}  // namespace forge::gateway
