#include "client/terminal/json_output.h"

#include <google/protobuf/util/json_util.h>

namespace forge::client {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  // Only a malformed message of our own making cannot be printed.
  return status.ok() ? json : "{\"error\":\"" + status.ToString() + "\"}";
}

}  // namespace forge::client
