#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

#include "gateway/json_fields.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// Names for the model's template: those of a request's `chat_template_kwargs`, and further ones
// that its API has fields for. What was given first counts.
class TemplateOptions {
 public:
  static Result<TemplateOptions> Read(const Fields& body);

  void Set(const char* name, Json value);
  void WriteTo(v1::ChatMessages& chat) const;

 private:
  Json options_ = Json::object();
};

}  // namespace forge::gateway
