#include "engine/grammar/schema_document.h"

#include <algorithm>

#include "engine/grammar/grammar_limits.h"

namespace forge {
namespace {

Status Malformed(const std::string& message, uint64_t line, uint64_t column) {
  return InvalidArgument("schema is no JSON at line " + std::to_string(line) + ", column " +
                         std::to_string(column) + ": " + message)
      .WithReason("SCHEMA_INVALID")
      .WithDetail("line", line)
      .WithDetail("column", column);
}

Status MalformedAt(std::string_view text, size_t offset, const std::string& message) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = static_cast<uint64_t>(std::count(before.begin(), before.end(), '\n'));
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return Malformed(message, line + 1, before.size() - line_start + 1);
}

// The library's parser takes any depth; what walks the tree afterwards does not.
Status CheckDepth(std::string_view text) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '{' || c == '[')) {
      if (++depth > kMaxNesting)
        return MalformedAt(text, i, "it is nested deeper than " + std::to_string(kMaxNesting))
            .WithReason("GRAMMAR_TOO_COMPLEX");
    } else if (!in_string && (c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return Status();
}

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// "a~1b%20c" of a reference as the key "a/b c".
std::string UnescapePointer(std::string_view token) {
  std::string key;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      key += token[++i] == '0' ? '~' : '/';
    } else if (token[i] == '%' && i + 2 < token.size() && IsHex(token[i + 1]) &&
               IsHex(token[i + 2])) {
      key += static_cast<char>(std::stoi(std::string(token.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      key += token[i];
    }
  }
  return key;
}

std::string EscapePointer(std::string_view key) {
  std::string token;
  for (const char c : key) token += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return token;
}

const Json* Child(const Json& json, const std::string& key) {
  if (json.is_object()) {
    const auto found = json.find(key);
    return found == json.end() ? nullptr : &*found;
  }
  const bool is_index =
      !key.empty() && key.size() < 7 &&
      std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!json.is_array() || !is_index || std::stoul(key) >= json.size()) return nullptr;
  return &json[std::stoul(key)];
}

}  // namespace

Result<std::unique_ptr<SchemaDocument>> SchemaDocument::Parse(std::string_view text) {
  FORGE_TRY(CheckDepth(text));
  std::unique_ptr<SchemaDocument> document(new SchemaDocument);
  try {
    document->json_ = Json::parse(text);
  } catch (const Json::parse_error& error) {
    return MalformedAt(text, error.byte == 0 ? 0 : error.byte - 1, "unexpected text or end");
  } catch (const Json::exception& error) {  // a number that no double can hold
    return Malformed(error.what(), 1, 1);
  }
  document->Number(document->json_, 0, "");
  return document;
}

void SchemaDocument::Number(const Json& json, NodeId parent, const std::string& key) {
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back({&json, parent, key});
  ids_[&json] = id;
  if (json.is_array())
    for (size_t i = 0; i < json.size(); ++i) Number(json[i], id, std::to_string(i));
  if (!json.is_object()) return;
  for (const auto& [name, value] : json.items()) {
    Number(value, id, name);
    if (name == "$anchor" && value.is_string()) anchors_.emplace(value.get<std::string>(), id);
  }
}

std::string SchemaDocument::PointerOf(NodeId node) const {
  if (node == root()) return "#";
  return PointerOf(nodes_[node].parent) + "/" + EscapePointer(nodes_[node].key);
}

Result<SchemaDocument::NodeId> SchemaDocument::Resolve(const std::string& reference,
                                                       NodeId from) const {
  if (!reference.starts_with('#'))
    return Unsupported(
        from, "$ref",
        "refers to '" + reference + "'; only references within the schema (#/...) can be followed");
  const std::string_view fragment = std::string_view(reference).substr(1);
  if (!fragment.empty() && fragment.front() != '/') {
    const auto anchor = anchors_.find(std::string(fragment));
    if (anchor != anchors_.end()) return anchor->second;
    return Invalid(from, "$ref '" + reference + "' names no $anchor of the schema");
  }
  const Json* json = &json_;
  for (size_t begin = 1; begin <= fragment.size() && !fragment.empty();) {
    const size_t end = std::min(fragment.find('/', begin), fragment.size());
    json = Child(*json, UnescapePointer(fragment.substr(begin, end - begin)));
    if (json == nullptr) return Invalid(from, "$ref '" + reference + "' leads to nothing");
    begin = end + 1;
  }
  return IdOf(*json);
}

Status SchemaDocument::Invalid(NodeId node, const std::string& problem) const {
  const std::string pointer = PointerOf(node);
  return InvalidArgument("schema is malformed at " + pointer + ": " + problem)
      .WithReason("SCHEMA_INVALID")
      .WithDetail("pointer", pointer);
}

Status SchemaDocument::Unsupported(NodeId node, const std::string& keyword,
                                   const std::string& problem) const {
  const std::string pointer = PointerOf(node) + "/" + EscapePointer(keyword);
  return InvalidArgument("schema cannot be held to: " + pointer + ": " + problem)
      .WithReason("SCHEMA_UNSUPPORTED")
      .WithDetail("keyword", keyword)
      .WithDetail("pointer", pointer);
}

}  // namespace forge
