#include "gateway/translate/tool.h"

namespace forge::gateway {

Result<v1::Tool> ReadFunction(const Fields& fields, const char* schema) {
  FORGE_ASSIGN_OR_RETURN(const auto name, fields.Text("name"));
  if (!name || name->empty()) return BadField(fields.NameOf("name"), "is missing");
  FORGE_ASSIGN_OR_RETURN(const auto description, fields.Text("description"));
  FORGE_ASSIGN_OR_RETURN(const Json* const parameters, fields.Object(schema));
  FORGE_ASSIGN_OR_RETURN(const auto strict, fields.Bool("strict"));
  v1::Tool tool;
  tool.set_name(*name);
  tool.set_strict(strict.value_or(false));
  tool.set_description(description.value_or(""));
  if (parameters != nullptr) tool.set_parameters_json(Dump(*parameters));
  return tool;
}

}  // namespace forge::gateway
