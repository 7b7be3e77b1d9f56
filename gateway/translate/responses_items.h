#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

#include "gateway/translate/answer.h"
#include "gateway/translate/responses_tools.h"

namespace forge::gateway {

// Parts of an object "response".

// "completed" or "incomplete".
const char* ResponseStatus(const v1::GenerateResponse::Finished& finished);

// Of the item at `index` of the output: "msg_..." of the response "resp_...".
std::string ItemId(const AnswerHead& head, const char* prefix, int index);

// What a text is a part of.
struct TextItem {
  bool is_thought = false;
  std::string id;
  std::string text;
};
// "output_text" or "reasoning_text".
Json TextPart(const TextItem& item);
// A message of the assistant's, or its reasoning; `seals`: also as clients keep it that send none
// back in the open.
Json TextItemJson(const TextItem& item, const char* status, bool seals);
// Without its part.
Json EmptyTextItemJson(const TextItem& item);

Json CallItemJson(const v1::ToolCall& call, const std::string& id, const NamespacedNames& names,
                  const char* status);

// The object without output and usage: null.
Json ResponseJson(const AnswerHead& head, const Json& settings, const char* status);
// Adds how the answer ended.
void Finish(const v1::GenerateResponse::Finished& finished, uint32_t n_reasoning, Json& response);

}  // namespace forge::gateway
