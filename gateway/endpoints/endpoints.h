#pragma once

#include <string>
#include <string_view>

#include "gateway/endpoints/exchange.h"

namespace forge::gateway {

// What there is to request.
struct Endpoint {
  const char* method;
  // Of the request's target. One that ends with / is the beginning of it; what follows is the rest.
  const char* path;
  void (*answer)(const Exchange& exchange, const std::string& rest);
};

struct Route {
  const Endpoint* endpoint = nullptr;  // nullptr: there is none, and `error` says so
  std::string rest;
  ApiError error;
  const char* allowed_method = nullptr;  // where there is another one at this path
};

// Finds what a request is for. Thread-safe.
Route FindRoute(const HttpRequest& request);

void AnswerHealth(const Exchange& exchange, const std::string& rest);
void AnswerModels(const Exchange& exchange, const std::string& rest);
void AnswerModel(const Exchange& exchange, const std::string& name);
void AnswerChat(const Exchange& exchange, const std::string& rest);
void AnswerCompletion(const Exchange& exchange, const std::string& rest);
void AnswerEmbeddings(const Exchange& exchange, const std::string& rest);
void AnswerResponses(const Exchange& exchange, const std::string& rest);
void AnswerMessages(const Exchange& exchange, const std::string& rest);
void AnswerCountTokens(const Exchange& exchange, const std::string& rest);

}  // namespace forge::gateway
