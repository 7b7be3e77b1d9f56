#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace forge::client {

// A message as canonical protobuf JSON on one line, without the line's end. Fields with their
// default value are printed too, so that scripts find every key.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace forge::client
