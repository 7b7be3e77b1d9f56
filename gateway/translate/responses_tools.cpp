#include "gateway/translate/responses_tools.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "gateway/translate/tool.h"

namespace forge::gateway {

namespace {

// What Codex sends unasked. `custom` tools take a text in a language of their own instead of JSON.
constexpr std::array<std::string_view, 4> kLeftOut = {"web_search", "image_generation",
                                                      "tool_search", "custom"};

bool IsLeftOut(const std::string& type) {
  return std::ranges::find(kLeftOut, type) != kLeftOut.end();
}

Status RefuseType(const Fields& tool, const std::string& type) {
  return BadField(tool.NameOf("type"), "is '" + type.substr(0, 100) +
                                           "', but only functions are supported, also in a "
                                           "namespace");
}

// `space`: the namespace of the tool; empty: none.
Status ReadTool(const Fields& tool, const std::string& space, v1::ChatMessages& chat,
                NamespacedNames& names) {
  FORGE_ASSIGN_OR_RETURN(v1::Tool read, ReadFunction(tool, "parameters"));
  if (!space.empty()) {
    if (!names.Add(space, read.name()))
      return BadField(tool.NameOf("name"), "is the name of another tool");
    read.set_name(NamespacedNames::Join(space, read.name()));
  }
  *chat.add_tools() = std::move(read);
  return Status();
}

Status ReadNamespace(const Fields& holder, v1::ChatMessages& chat, NamespacedNames& names) {
  FORGE_ASSIGN_OR_RETURN(const auto space, holder.Text("name"));
  if (!space || space->empty()) return BadField(holder.NameOf("name"), "is missing");
  FORGE_ASSIGN_OR_RETURN(const Json* const tools, holder.Array("tools"));
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    const std::string path = holder.NameOf("tools") + "[" + std::to_string(i) + "]";
    if (!(*tools)[i].is_object()) return BadField(path, "must be an object");
    const Fields tool{(*tools)[i], path + "."};
    FORGE_ASSIGN_OR_RETURN(const auto type, tool.Text("type"));
    if (type && IsLeftOut(*type)) continue;
    if (type.value_or("function") != "function") return RefuseType(tool, *type);
    FORGE_TRY(ReadTool(tool, *space, chat, names));
  }
  return Status();
}

}  // namespace

std::string NamespacedNames::Join(const std::string& space, const std::string& function) {
  return space.ends_with("__") ? space + function : space + "__" + function;
}

bool NamespacedNames::Add(const std::string& space, const std::string& function) {
  return names_.try_emplace(Join(space, function), Name{space, function}).second;
}

const NamespacedNames::Name* NamespacedNames::Find(const std::string& joined) const {
  const auto found = names_.find(joined);
  return found == names_.end() ? nullptr : &found->second;
}

Status ReadResponsesTools(const Json& tools, v1::ChatMessages& chat, NamespacedNames& names) {
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string path = "tools[" + std::to_string(i) + "]";
    if (!tools[i].is_object()) return BadField(path, "must be an object");
    const Fields tool{tools[i], path + "."};
    FORGE_ASSIGN_OR_RETURN(const auto given, tool.Text("type"));
    const std::string type = given.value_or("");
    if (IsLeftOut(type)) continue;
    if (type != "function" && type != "namespace") return RefuseType(tool, type);
    FORGE_TRY(type == "namespace" ? ReadNamespace(tool, chat, names)
                                  : ReadTool(tool, /*space=*/"", chat, names));
  }
  return Status();
}

}  // namespace forge::gateway
