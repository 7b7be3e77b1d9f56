#pragma once

#include <forge/v1/forge.pb.h>

#include <cstdint>
#include <string>

#include "gateway/api_error.h"
#include "gateway/json_fields.h"

namespace forge::gateway {

// What every part of an answer begins with.
struct AnswerHead {
  std::string id;       // "chatcmpl-..."
  int64_t created = 0;  // seconds since 1970
  std::string model;    // as the request named it

  Json ToJson(const char* object) const;
};

// A head with an id of its own: `prefix` and 24 hexadecimal digits.
AnswerHead MakeHead(const char* prefix, const std::string& model);

// Makes the events of a turn the body of an answer. Not thread-safe.
class WholeAnswer {
 public:
  virtual ~WholeAnswer() = default;
  virtual void Take(const v1::GenerateResponse& event) = 0;
  // After `finished` was taken.
  virtual Json ToJson() const = 0;
};

// Makes the events of a turn server-sent events. Not thread-safe.
class StreamedAnswer {
 public:
  virtual ~StreamedAnswer() = default;
  // The text that `event` adds to the stream; empty: none. That of `finished` ends it.
  virtual std::string Take(const v1::GenerateResponse& event) = 0;
  // What a stream ends with that breaks off.
  virtual std::string Fail(const ApiError& error);
};

// "data: {...}\n\n"
std::string ServerSentEvent(const Json& json);
// "event: ...\ndata: {...}\n\n", of an object that names its type itself.
std::string NamedEvent(const Json& json);
// Whether the event says how far a turn has come of which nothing is answered yet: that it waits
// for others, that its model is being loaded, that its prompt is being computed. Not before it is
// certain that the model fits: until then a failure has an HTTP status of its own.
bool IsProgress(const v1::GenerateResponse& event);
// ": ...\n\n", a comment, which clients pass over: to them and to proxies between a sign that the
// stream lives. REQUIRES: IsProgress(event).
std::string ServerSentProgress(const v1::GenerateResponse& event);
// Clients take an `error` for a failure; no [DONE] follows.
std::string ServerSentError(const ApiError& error, ApiDialect dialect = ApiDialect::kOpenAi);
inline constexpr char kStreamEnd[] = "data: [DONE]\n\n";

// "stop", "length" or "tool_calls".
const char* FinishReasonName(v1::FinishReason reason);

// `n_reasoning`: tokens of the answer that are thoughts.
Json UsageJson(const v1::Usage& usage, uint32_t n_reasoning);

}  // namespace forge::gateway
