#pragma once

#include <forge/v1/forge.pb.h>

#include <span>
#include <string>

#include "gateway/json_fields.h"
#include "kernels/base/status.h"

namespace forge::gateway {

// How the answer of a request is sent.
struct Delivery {
  bool stream = false;
  bool include_usage = false;  // in a last event of the stream
};

// A field that would change the answer and cannot be had.
struct UnsupportedField {
  const char* name;
  const char* instead;  // what follows the name: "is not supported: use tools"
};
// Refuses the first of `refused` that `body` has, unless it asks for nothing: null, false, 0, "",
// [] and {} do not.
Status RefuseFields(const Fields& body, std::span<const UnsupportedField> refused);

Status ReadModel(const Fields& body, v1::GenerateRequest::Turn& turn);
Status ReadSampling(const Fields& body, v1::SamplingOptions& sampling);
// Reads the string, or array of strings, that the answer ends before.
Status ReadStopStrings(const Fields& body, const char* name, v1::GenerateRequest::Turn& turn);
// Reads the most tokens that the answer may have; -1: no limit, as llama-server and Ollama have it.
Status ReadLimit(const Fields& body, const char* name, v1::GenerateRequest::Turn& turn);

// Where a format of type "json_schema" has its schema.
enum class SchemaPlace { kBeside, kInJsonSchema };
// Reads what an answer must look like: {"type": "text"}, "json_object" or "json_schema". `name` is
// that of the field.
Status ReadFormat(const Json& format, const std::string& name, SchemaPlace place,
                  v1::GenerateRequest::Turn& turn);

// Reads what chat completions and completions have in common into `turn`: the model, sampling,
// stops and limits. Refuses by name what would change the answer and cannot be had; other unknown
// fields are left alone. What is unset has the daemon's defaults.
Status ReadTurnFields(const Fields& body, v1::GenerateRequest::Turn& turn);

Result<Delivery> ReadDelivery(const Fields& body);

}  // namespace forge::gateway
