#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/config/config.h"
#include "kernels/base/result.h"

namespace forge {

// What the command line asks for.
struct CommandLine {
  enum class Action {
    kServe,
    kCheckConfig,  // read the configuration, say whether it is right
    kPrintConfig,  // read the configuration, print it
    kProbeGpus,    // read the configuration, print what GPUs can be used
    kPrintText,    // --help, --version
  };
  Action action = Action::kServe;
  std::string text;                        // of kPrintText
  std::optional<std::string> config_file;  // --config
  // Keys of the configuration that flags set, with the flag for messages.
  struct Setting {
    std::string key;
    std::string flag;
    std::vector<std::string> values;
  };
  std::vector<Setting> settings;
};

// Reads the flags of forged. kInvalidArgument with one sentence for flags it does not have.
Result<CommandLine> ParseCommandLine(int argc, const char* const* argv);

// Looks up an environment variable; nullptr if it is not set. std::getenv, but for tests.
using Environment = std::function<const char*(const char* name)>;

struct LoadedConfig {
  Config config;
  std::string file;  // the file that was read; empty: none, because the default one does not exist
};

// Collects the configuration: defaults, then the file, then the environment (FORGE_LISTEN,
// FORGE_METRICS_LISTEN, FORGE_MODEL_DIR with colons between directories, FORGE_LOG_LEVEL), then
// flags. The file is
// --config, else $FORGE_CONFIG, else `default_file`, of which only the last may be missing. What
// comes of them must not contradict itself.
Result<LoadedConfig> LoadConfig(const CommandLine& command_line, const Environment& environment,
                                const std::string& default_file);

}  // namespace forge
