#include "gateway/translate/template_options.h"

#include <utility>

namespace forge::gateway {

Result<TemplateOptions> TemplateOptions::Read(const Fields& body) {
  TemplateOptions read;
  FORGE_ASSIGN_OR_RETURN(const Json* const given, body.Object("chat_template_kwargs"));
  if (given != nullptr) read.options_ = *given;
  return read;
}

void TemplateOptions::Set(const char* name, Json value) {
  if (!options_.contains(name)) options_[name] = std::move(value);
}

void TemplateOptions::WriteTo(v1::ChatMessages& chat) const {
  if (!options_.empty()) chat.set_template_options_json(Dump(options_));
}

}  // namespace forge::gateway
