#include "daemon/config/config_sources.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <sstream>

#include "daemon/config/config_file.h"
#include "daemon/config/config_keys.h"

namespace forge {
namespace {

struct Variable {
  const char* name;
  std::string_view key;
};
// The keys that a container or a developer's shell most often needs to change.
constexpr Variable kVariables[] = {
    {"FORGE_LISTEN", "listen"},
    {"FORGE_METRICS_LISTEN", "metrics_listen"},
    {"FORGE_MODEL_DIR", "model_directories"},
    {"FORGE_LOG_LEVEL", "log.level"},
};

Status ApplySetting(std::string_view key_path, const std::string& origin,
                    const std::vector<std::string>& values, Config& config) {
  const ConfigKey* key = FindConfigKey(key_path);
  FORGE_CHECK(key != nullptr, key_path);
  if (key->set(config, values)) return Status();
  return InvalidArgument(
      fmt::format("{} is '{}', but must be {}", origin, fmt::join(values, "', '"), key->allowed));
}

std::vector<std::string> SplitAtColons(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ':');) parts.push_back(part);
  return parts;
}

Status ApplyEnvironment(const Environment& environment, Config& config) {
  for (const Variable& variable : kVariables) {
    const char* value = environment(variable.name);
    if (value == nullptr || *value == '\0') continue;
    const bool is_list = FindConfigKey(variable.key)->is_list;
    const std::vector<std::string> values =
        is_list ? SplitAtColons(value) : std::vector<std::string>{value};
    FORGE_TRY(ApplySetting(variable.key, fmt::format("${}", variable.name), values, config));
  }
  return Status();
}

// Reads the first file that is named; only the default one may be missing.
Result<std::string> ApplyFile(const CommandLine& command_line, const Environment& environment,
                              const std::string& default_file, Config& config) {
  std::string path = default_file;
  bool may_be_missing = true;
  if (const char* named = environment("FORGE_CONFIG"); named != nullptr && *named != '\0') {
    path = named;
    may_be_missing = false;
  }
  if (command_line.config_file) {
    path = *command_line.config_file;
    may_be_missing = false;
  }
  const Status status = ApplyConfigFile(path, config);
  if (status.code() == StatusCode::kNotFound && may_be_missing) return std::string();
  if (!status.ok()) return status;
  return path;
}

}  // namespace

Result<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app("Keeps whole language models resident and serves them over gRPC.", "forged");
  CommandLine result;
  std::string listen, metrics_listen, config_file;
  std::vector<std::string> model_directories;
  bool check_config = false, print_config = false, probe_gpus = false;
  app.add_option("--config", config_file, "Configuration file");
  app.add_option("--listen", listen, "unix:///path, or a loopback host and port")
      ->type_name("ADDRESS");
  app.add_option("--metrics-listen", metrics_listen,
                 "Where metrics are told: a loopback host and port, unix:///path, or none")
      ->type_name("ADDRESS");
  app.add_option("--model-dir", model_directories,
                 "Directory with model files, in place of the configured ones; may be repeated")
      ->type_name("DIR")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--check-config", check_config,
               "Check the configuration and exit: 0 right, 2 wrong");
  app.add_flag("--print-config", print_config, "Print the configuration in effect and exit");
  app.add_flag("--probe-gpus", probe_gpus,
               "Print what GPUs can be used, as JSON, and exit; for forgectl doctor");
  app.set_version_flag("--version", "forged " FORGE_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return CommandLine{CommandLine::Action::kPrintText, app.help(), {}, {}};
  } catch (const CLI::CallForVersion&) {
    return CommandLine{CommandLine::Action::kPrintText, "forged " FORGE_VERSION "\n", {}, {}};
  } catch (const CLI::ParseError& error) {
    return InvalidArgument(fmt::format("{}; forged --help lists the flags", error.what()));
  }
  if (check_config) result.action = CommandLine::Action::kCheckConfig;
  if (print_config) result.action = CommandLine::Action::kPrintConfig;
  if (probe_gpus) result.action = CommandLine::Action::kProbeGpus;
  if (app.count("--config") > 0) result.config_file = config_file;
  if (app.count("--listen") > 0) result.settings.push_back({"listen", "--listen", {listen}});
  if (app.count("--metrics-listen") > 0)
    result.settings.push_back({"metrics_listen", "--metrics-listen", {metrics_listen}});
  if (!model_directories.empty()) {
    // Flags are typed in a shell, where a relative path means the working directory.
    for (std::string& directory : model_directories) {
      std::error_code ignored;  // then the path stays relative and is refused with its name
      const std::filesystem::path absolute = std::filesystem::absolute(directory, ignored);
      if (!ignored && !directory.empty()) directory = absolute.string();
    }
    result.settings.push_back({"model_directories", "--model-dir", model_directories});
  }
  return result;
}

Result<LoadedConfig> LoadConfig(const CommandLine& command_line, const Environment& environment,
                                const std::string& default_file) {
  LoadedConfig loaded;
  FORGE_ASSIGN_OR_RETURN(loaded.file,
                         ApplyFile(command_line, environment, default_file, loaded.config));
  FORGE_TRY(ApplyEnvironment(environment, loaded.config));
  for (const CommandLine::Setting& setting : command_line.settings) {
    FORGE_TRY(ApplySetting(setting.key, setting.flag, setting.values, loaded.config));
  }
  FORGE_TRY(CheckContradictions(loaded.config));
  return loaded;
}

}  // namespace forge
