#pragma once

#include <forge/v1/forge.pb.h>

#include <map>
#include <string>

#include "gateway/json_fields.h"
#include "kernels/base/result.h"

namespace forge::gateway {

// Functions in namespaces, which the model sees under one name: "mcp__notes__find" of the namespace
// "mcp__notes" and the function "find". So Codex shows the tools of its servers, and it wants them
// called by both names.
class NamespacedNames {
 public:
  struct Name {
    std::string space;
    std::string function;
  };
  static std::string Join(const std::string& space, const std::string& function);

  // False: there is such a name already.
  bool Add(const std::string& space, const std::string& function);
  // nullptr: the name is that of a function in no namespace.
  const Name* Find(const std::string& joined) const;

 private:
  std::map<std::string, Name> names_;
};

// Reads `tools` of the Responses API: functions, alone and in namespaces. Tools that others would
// run are refused by name, but for those that Codex sends with every request: these are left out,
// and so the model does not call them.
Status ReadResponsesTools(const Json& tools, v1::ChatMessages& chat, NamespacedNames& names);

}  // namespace forge::gateway
