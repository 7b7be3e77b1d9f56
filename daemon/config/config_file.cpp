#include "daemon/config/config_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "daemon/config/config_keys.h"

namespace forge {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

// Walks one YAML document and sets the keys it finds.
class ConfigReader {
 public:
  ConfigReader(const std::string& file_name, Config& config)
      : file_name_(file_name), config_(config) {}

  Status ReadSection(const YAML::Node& node, const std::string& section) {
    for (const auto& item : node) {
      if (!item.first.IsScalar()) return ErrorAt(item.first, "a key must be a single word");
      const std::string path = section.empty() ? item.first.Scalar()
                                               : fmt::format("{}.{}", section, item.first.Scalar());
      if (!seen_.insert(path).second) {
        return ErrorAt(item.first, fmt::format("key '{}' is given twice", path));
      }
      FORGE_TRY(ReadItem(item.first, item.second, path, section));
    }
    return Status();
  }

  Status ErrorAt(const YAML::Mark& mark, std::string_view message) const {
    return InvalidArgument(
        fmt::format("{}:{}:{}: {}", file_name_, mark.line + 1, mark.column + 1, message));
  }
  Status ErrorAt(const YAML::Node& node, std::string_view message) const {
    return ErrorAt(node.Mark(), message);
  }

 private:
  Status ReadItem(const YAML::Node& name, const YAML::Node& value, const std::string& path,
                  const std::string& section) {
    if (const ConfigKey* key = FindConfigKey(path)) return ReadValue(*key, value);
    const std::string names = NamesInSection(path);
    if (names.empty()) {
      return ErrorAt(name, fmt::format("unknown key '{}'; known {}: {}", path,
                                       section.empty() ? "at the top level" : "in this section",
                                       NamesInSection(section)));
    }
    if (!value.IsMap()) {
      return ErrorAt(value,
                     fmt::format("'{}' must be a section with any of the keys {}", path, names));
    }
    return ReadSection(value, path);
  }

  Status ReadValue(const ConfigKey& key, const YAML::Node& node) {
    if (key.is_list ? !node.IsSequence() : !node.IsScalar()) {
      const char* found = node.IsNull()       ? "is empty"
                          : node.IsMap()      ? "is a section"
                          : node.IsSequence() ? "is a list"
                                              : "is a single value";
      return ErrorAt(node, fmt::format("'{}' {}, but must be {}", key.path, found, key.allowed));
    }
    std::vector<std::string> values;
    if (!key.is_list) values.push_back(node.Scalar());
    if (key.is_list) {
      for (const YAML::Node& element : node) {
        if (!element.IsScalar()) {
          return ErrorAt(element, fmt::format("'{}' must be {}", key.path, key.allowed));
        }
        values.push_back(element.Scalar());
      }
    }
    if (key.set(config_, values)) return Status();
    return ErrorAt(node, fmt::format("'{}' is '{}', but must be {}", key.path,
                                     fmt::join(values, "', '"), key.allowed));
  }

  const std::string& file_name_;
  Config& config_;
  std::set<std::string> seen_;
};

std::string AsYaml(const std::string& text) {
  YAML::Emitter emitter;
  emitter << text;  // plain where YAML allows it
  return emitter.c_str();
}

}  // namespace

Status ApplyConfigText(std::string_view text, const std::string& file_name, Config& config) {
  Config changed = config;
  ConfigReader reader(file_name, changed);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    for (size_t i = 1; i < documents.size(); ++i) {
      if (documents[i].IsNull()) continue;  // after a '---' at the end
      return reader.ErrorAt(documents[i],
                            "a second document begins after '---'; the file must hold only one");
    }
    const YAML::Node root = documents.empty() ? YAML::Node() : documents.front();
    if (root.IsNull()) return Status();
    if (!root.IsMap()) {
      return reader.ErrorAt(root, "the file must hold keys and values, as in 'reflection: true'");
    }
    FORGE_TRY(reader.ReadSection(root, ""));
  } catch (const YAML::Exception& error) {
    return reader.ErrorAt(error.mark, fmt::format("this is not YAML: {}", error.msg));
  }
  config = std::move(changed);
  return Status();
}

Status ApplyConfigFile(const std::string& path, Config& config) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int code = errno;
    const std::string message =
        fmt::format("cannot open the configuration file {}: {}", path, std::strerror(code));
    return code == ENOENT ? NotFound(message) : InvalidArgument(message);
  }
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad())
    return InvalidArgument(fmt::format("cannot read the configuration file {}", path));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFileBytes) {
    return InvalidArgument(fmt::format("the configuration file {} is larger than 1 MiB", path));
  }
  return ApplyConfigText(text, path, config);
}

std::string PrintConfig(const Config& config) {
  std::string text;
  std::string_view open_section;
  for (const ConfigKey& key : ConfigKeys()) {
    const size_t dot = key.path.find('.');
    const bool in_section = dot != std::string_view::npos;
    const std::string_view section = in_section ? key.path.substr(0, dot) : std::string_view();
    const std::string_view name = in_section ? key.path.substr(dot + 1) : key.path;
    if (in_section && section != open_section) text += fmt::format("{}:\n", section);
    open_section = section;
    std::vector<std::string> values = key.get(config);
    for (std::string& value : values) value = AsYaml(value);
    const std::string joined = fmt::format("{}", fmt::join(values, ", "));
    text += fmt::format("{}{}: {}{}{}\n", in_section ? "  " : "", name, key.is_list ? "[" : "",
                        joined, key.is_list ? "]" : "");
  }
  return text;
}

}  // namespace forge
