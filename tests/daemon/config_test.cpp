#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <set>
#include <sstream>

#include "daemon/config/config_file.h"
#include "daemon/config/config_keys.h"
#include "daemon/config/config_sources.h"
#include "daemon/config/quantity.h"
#include "tests/daemon/daemon_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDirectory;

const std::string kShippedFile = std::string(FORGE_SOURCE_DIR) + "/config.yaml";

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string ErrorOf(const std::string& text) {
  Config config;
  const Status status = ApplyConfigText(text, "c.yaml", config);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

// ---- The shipped file

TEST(ShippedConfigTest, IsAcceptedAndHoldsTheDefaults) {
  Config config;
  const Status status = ApplyConfigFile(kShippedFile, config);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(PrintConfig(config), PrintConfig(Config()));
}

TEST(ShippedConfigTest, ExplainsEveryKeyAndNoOther) {
  std::set<std::string> in_file;
  const YAML::Node root = YAML::LoadFile(kShippedFile);
  for (const auto& item : root) {
    const std::string name = item.first.Scalar();
    if (!item.second.IsMap()) in_file.insert(name);
    if (item.second.IsMap()) {
      for (const auto& inner : item.second) in_file.insert(name + "." + inner.first.Scalar());
    }
  }
  std::set<std::string> in_code;
  for (const ConfigKey& key : ConfigKeys()) in_code.insert(std::string(key.path));
  EXPECT_EQ(in_file, in_code);
}

TEST(ShippedConfigTest, HasACommentAboveEveryKey) {
  std::istringstream lines(ReadAll(kShippedFile));
  std::string previous;
  std::set<std::string> without_comment;
  for (std::string line; std::getline(lines, line);) {
    const size_t start = line.find_first_not_of(' ');
    if (start == std::string::npos) continue;
    const bool is_key = line[start] != '#' && line[start] != '-';
    // The first key of a section may stand under the section's name.
    if (is_key && previous.find('#') == std::string::npos && line.back() != ':') {
      without_comment.insert(line);
    }
    previous = line;
  }
  EXPECT_TRUE(without_comment.empty()) << *without_comment.begin();
}

TEST(ShippedConfigTest, DocumentationNamesEveryKey) {
  const std::string page = ReadAll(std::string(FORGE_SOURCE_DIR) + "/docs/configuration.md");
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_THAT(page, HasSubstr("| `" + std::string(key.path) + "` |"));
  }
}

// ---- Values

TEST(ConfigKeysTest, EveryKeyReadsBackWhatItPrints) {
  for (const ConfigKey& key : ConfigKeys()) {
    SCOPED_TRACE(std::string(key.path));
    Config config;
    EXPECT_TRUE(key.set(config, key.get(config)));
    EXPECT_EQ(PrintConfig(config), PrintConfig(Config()));
  }
}

TEST(ConfigKeysTest, PrintedConfigurationIsReadBack) {
  Config config;
  ASSERT_TRUE(ApplyConfigText("memory: {policy: incremental, free_fraction: 0.5, cap: 3GiB}\n"
                              "model_directories: ['/a: b', \"/c#d\"]\n"
                              "socket_mode: \"0600\"\n",
                              "c.yaml", config)
                  .ok());
  Config again;
  ASSERT_TRUE(ApplyConfigText(PrintConfig(config), "printed", again).ok());
  EXPECT_EQ(PrintConfig(again), PrintConfig(config));
  EXPECT_THAT(again.model_directories, ElementsAre("/a: b", "/c#d"));
  EXPECT_EQ(again.memory.cap_bytes, uint64_t{3} << 30);
  EXPECT_EQ(again.socket_mode, 0600u);
}

TEST(ConfigKeysTest, TakesTheBordersAndRefusesWhatLiesBeyond) {
  struct Case {
    const char* key;
    std::vector<std::string> good, bad;
  };
  const Case cases[] = {
      {"listen",
       {"unix:///a/b.sock", "unix:/a", "127.0.0.1:1", "localhost:0", "[::1]:65535", "127.9.9.9:80"},
       {"", "unix://", "unix:relative", "unix:///dir/", "0.0.0.0:80", "192.168.1.1:80", "[::]:80",
        "::1:80", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:-1", "example.com:80", ":80",
        "unix:///" + std::string(200, 'a')}},
      {"metrics_listen",
       {"none", "127.0.0.1:9464", "localhost:0", "[::1]:9464", "unix:///run/forge/metrics.sock"},
       {"", "off", "9464", "127.0.0.1", "0.0.0.0:9464", "192.168.1.1:9464", "[::]:9464",
        "example.com:9464", "unix:metrics.sock"}},
      {"socket_mode", {"0", "0000", "0777", "660"}, {"", "0778", "1000", "-1", "rw", "0x1"}},
      {"memory.policy", {"share", "incremental"}, {"", "Share", "none"}},
      {"memory.free_fraction",
       {"1", "0.0001", "0.7", "1e-3"},
       {"0", "1.01", "-0.5", "nan", "inf", "70%", "0,7", ""}},
      {"memory.reserve",
       {"0", "1", "2GiB", "7B", "8388607TiB"},
       {"-1", "2GB", "1.5GiB", "GiB", "9000000TiB", "99999999999999999999", "1 GiB", ""}},
      {"memory.cap", {"none", "1", "24GiB"}, {"0", "", "unlimited"}},
      {"memory.devices",
       {"cpu reserve=0", "hip:0 cap=20GiB free_fraction=0.5 reserve=1GiB policy=incremental",
        "hip:1 cap=none"},
       {"", "cpu", "cpu cap", "cpu cap=0", "cpu cap=1 cap=2", "cpu speed=1", "cpu policy=best",
        "cap=1", "cpu free_fraction=1.5"}},
      {"residency.load_on_demand", {"true", "false"}, {"yes", ""}},
      {"residency.keep_alive", {"forever", "0ms", "5m"}, {"never", "-1s"}},
      {"residency.min_residence", {"0ms", "10s"}, {"10", "-1s"}},
      {"residency.patience", {"0ms", "1h"}, {"long", "-1s"}},
      {"residency.low_water", {"0", "512MiB"}, {"some", "-1"}},
      {"residency.high_water", {"0", "1GiB"}, {"some", "-1"}},
      {"residency.preload", {"a", "sub/b"}, {""}},
      {"residency.restore", {"true", "false"}, {"yes", ""}},
      {"device.threads", {"0", "1024"}, {"1025", "-1", "two", "1.0", ""}},
      {"device.gpu", {"auto", "required", "off"}, {"", "on", "hip"}},
      {"device.gpu_plugin", {"", "/usr/lib/forge/libforge-hip.so"}, {"libforge-hip.so", "./a"}},
      {"device.gpu_hang_limit", {"1s", "4s", "1h"}, {"999ms", "61m", "0", ""}},
      {"device.gpu_graphs", {"true", "false"}, {"yes", ""}},
      {"defaults.device", {"auto", "cpu", "hip:0"}, {""}},
      {"defaults.context_length", {"0", "131072"}, {"-1", "4294967296", "4k"}},
      {"defaults.max_sequences", {"1", "256"}, {"0", "257"}},
      {"defaults.prefill_chunk", {"1", "4096"}, {"0", "4097"}},
      {"defaults.kv_cache_type", {"f16", "f32", "bf16", "q8_0"}, {"q4_0", "F16", ""}},
      {"limits.max_queued_turns", {"1", "65536"}, {"0", "65537"}},
      {"limits.max_streams", {"1", "4096"}, {"0", "4097"}},
      {"limits.max_message", {"64KiB", "64MiB"}, {"65535", "65MiB", "0"}},
      {"limits.stream_buffer", {"64KiB", "64MiB"}, {"65535", "65MiB", "0"}},
      {"limits.load_deadline", {"1s", "1000ms", "8760h"}, {"999ms", "0", "8761h", "10", "-1s"}},
      {"limits.generate_deadline", {"1s", "30m"}, {"0", "30 m", "1d"}},
      {"limits.stalled_reader_timeout", {"1s"}, {"0"}},
      {"limits.step_timeout", {"1s"}, {"0"}},
      {"prefix_cache", {"true", "false"}, {"yes", "1", ""}},
      {"speculative_tokens", {"0", "31"}, {"32", "-1", "auto", ""}},
      {"state_directory", {"auto", "none", "/var/lib/forge"}, {"", "relative"}},
      {"audit.path", {"auto", "none", "/var/log/forge.jsonl"}, {"", "relative"}},
      {"audit.max_size", {"64KiB", "1TiB"}, {"65535", "0", "2TiB"}},
      {"drain_timeout", {"0", "0s", "20s"}, {"20", "-1s", ""}},
      {"log.level", {"error", "warning", "info", "debug"}, {"trace", "", "INFO"}},
      {"log.format", {"auto", "plain", "journal"}, {"json"}},
      {"reflection", {"true", "false"}, {"yes", "1", "", "True"}},
  };
  std::set<std::string> covered = {"model_directories"};
  for (const Case& c : cases) {
    covered.insert(c.key);
    const ConfigKey* key = FindConfigKey(c.key);
    ASSERT_NE(key, nullptr) << c.key;
    for (const std::string& value : c.good) {
      Config config;
      EXPECT_TRUE(key->set(config, {value})) << c.key << ": " << value;
    }
    for (const std::string& value : c.bad) {
      Config config;
      EXPECT_FALSE(key->set(config, {value})) << c.key << ": " << value;
      EXPECT_EQ(PrintConfig(config), PrintConfig(Config())) << "a refused value changes nothing";
    }
  }
  EXPECT_EQ(covered.size(), ConfigKeys().size()) << "a key has no test of its borders";
}

TEST(ConfigKeysTest, ModelDirectoriesAreAbsoluteAndNormal) {
  Config config;
  const ConfigKey* key = FindConfigKey("model_directories");
  EXPECT_TRUE(key->set(config, {"/a/../b/", "/c"}));
  EXPECT_THAT(config.model_directories, ElementsAre("/b", "/c"));
  EXPECT_FALSE(key->set(config, {}));
  EXPECT_FALSE(key->set(config, {"relative"}));
  EXPECT_FALSE(key->set(config, {"/a", ""}));
}

TEST(ConfigKeysTest, WhatADeviceLeavesOutIsAsForAll) {
  Config config;
  ASSERT_TRUE(ApplyConfigText("memory:\n"
                              "  devices: [hip:0 cap=3GiB policy=incremental, cpu cap=none]\n"
                              "  free_fraction: 0.5\n"
                              "  cap: 1GiB\n",
                              "c.yaml", config)
                  .ok());
  const std::map<std::string, AdmissionPolicy> policies = DevicePolicies(config);
  ASSERT_EQ(policies.size(), 2u);
  EXPECT_EQ(policies.at("hip:0").kind, AdmissionPolicy::Kind::kIncremental);
  EXPECT_EQ(policies.at("hip:0").free_fraction, 0.5);
  EXPECT_EQ(policies.at("hip:0").cap_bytes, uint64_t{3} << 30);
  EXPECT_EQ(policies.at("cpu").kind, AdmissionPolicy::Kind::kShare);
  EXPECT_FALSE(policies.at("cpu").cap_bytes);
  Config again;
  ASSERT_TRUE(ApplyConfigText(PrintConfig(config), "printed", again).ok());
  EXPECT_EQ(PrintConfig(again), PrintConfig(config));
  EXPECT_THAT(ErrorOf("memory: {devices: [cpu cap=1, cpu cap=2]}\n"),
              HasSubstr("each device once"));
}

TEST(StateDirectoryTest, IsWhatSystemdNamesUnlessConfigured) {
  Config config;
  EXPECT_EQ(StateDirectory(config, nullptr), std::nullopt);
  EXPECT_EQ(StateDirectory(config, ""), std::nullopt);
  EXPECT_EQ(StateDirectory(config, "/var/lib/forge:/var/lib/forge/models"), "/var/lib/forge");
  EXPECT_EQ(AuditPath(config, std::nullopt), std::nullopt);
  EXPECT_EQ(AuditPath(config, "/var/lib/forge"), "/var/lib/forge/audit.jsonl");
  ASSERT_TRUE(ApplyConfigText("state_directory: /s\naudit: {path: /a}\n", "c.yaml", config).ok());
  EXPECT_EQ(StateDirectory(config, "/var/lib/forge"), "/s");
  EXPECT_EQ(AuditPath(config, std::nullopt), "/a");
  ASSERT_TRUE(
      ApplyConfigText("state_directory: none\naudit: {path: none}\n", "c.yaml", config).ok());
  EXPECT_EQ(StateDirectory(config, "/var/lib/forge"), std::nullopt);
  EXPECT_EQ(AuditPath(config, "/s"), std::nullopt);
}

TEST(QuantityTest, FormatsWithTheLargestUnitThatFits) {
  EXPECT_EQ(FormatSize(0), "0");
  EXPECT_EQ(FormatSize(1537), "1537B");
  EXPECT_EQ(FormatSize(uint64_t{2} << 30), "2GiB");
  EXPECT_EQ(FormatDuration(std::chrono::milliseconds(90'000)), "90s");
  EXPECT_EQ(FormatDuration(std::chrono::hours(2)), "2h");
  EXPECT_EQ(FormatDuration(std::chrono::milliseconds(1500)), "1500ms");
}

// ---- Errors of a file

TEST(ConfigFileTest, NamesPlaceKeyValueAndWhatIsAllowed) {
  EXPECT_EQ(
      ErrorOf("memory:\n  free_fraction: 1.5\n"),
      "c.yaml:2:18: 'memory.free_fraction' is '1.5', but must be a number above 0, at most 1");
  EXPECT_EQ(ErrorOf("memory:\n  polcy: share\n"),
            "c.yaml:2:3: unknown key 'memory.polcy'; known in this section: policy, "
            "free_fraction, reserve, cap, devices");
  EXPECT_THAT(ErrorOf("\nlisten_on: x\n"),
              HasSubstr("c.yaml:2:1: unknown key 'listen_on'; known at the top level: listen, "));
  EXPECT_THAT(ErrorOf("listen: 0.0.0.0:50051\n"), HasSubstr("connections are not encrypted"));
  EXPECT_EQ(
      ErrorOf("reflection: true\nmetrics_listen: 0.0.0.0:9464\n"),
      "c.yaml:2:17: 'metrics_listen' is '0.0.0.0:9464', but must be none, a loopback host and "
      "port as in 127.0.0.1:9464, or unix:///absolute/path (at most 107 bytes); other "
      "addresses are refused because whoever reaches them may read");
}

TEST(ConfigFileTest, RefusesWrongTypes) {
  EXPECT_THAT(ErrorOf("memory: 5\n"), HasSubstr("c.yaml:1:9: 'memory' must be a section"));
  EXPECT_THAT(ErrorOf("memory:\n"), HasSubstr("'memory' must be a section"));
  EXPECT_THAT(ErrorOf("drain_timeout: [1s]\n"),
              HasSubstr("'drain_timeout' is a list, but must be"));
  EXPECT_THAT(ErrorOf("drain_timeout: {a: 1}\n"), HasSubstr("is a section, but must be"));
  EXPECT_THAT(ErrorOf("drain_timeout:\n"), HasSubstr("is empty, but must be"));
  EXPECT_THAT(ErrorOf("model_directories: /a\n"),
              HasSubstr("is a single value, but must be a list"));
  EXPECT_THAT(ErrorOf("model_directories: [[/a]]\n"), HasSubstr("c.yaml:1:21:"));
  EXPECT_THAT(ErrorOf("model_directories: []\n"), HasSubstr("at least one"));
  EXPECT_THAT(ErrorOf("- a\n- b\n"), HasSubstr("must hold keys and values"));
  EXPECT_THAT(ErrorOf("[a]: b\n"), HasSubstr("a key must be a single word"));
}

TEST(ConfigFileTest, RefusesRepeatedKeysAndBrokenYaml) {
  EXPECT_THAT(ErrorOf("reflection: true\nreflection: false\n"),
              HasSubstr("c.yaml:2:1: key 'reflection' is given twice"));
  EXPECT_THAT(ErrorOf("log: {level: info\n"), HasSubstr("this is not YAML"));
}

TEST(ConfigFileTest, LeavesTheConfigurationAloneOnError) {
  Config config;
  EXPECT_FALSE(ApplyConfigText("drain_timeout: 1s\nbad: 1\n", "c.yaml", config).ok());
  EXPECT_EQ(PrintConfig(config), PrintConfig(Config()));
}

TEST(ConfigFileTest, RefusesASecondDocument) {
  Config config;
  const Status status =
      ApplyConfigText("drain_timeout: 1s\n---\nreflection: false\n", "c.yaml", config);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(::testing::StartsWith("c.yaml:3:1: "),
                               ::testing::HasSubstr("a second document")));
  EXPECT_EQ(PrintConfig(config), PrintConfig(Config()));
  EXPECT_TRUE(ApplyConfigText("---\nreflection: false\n---\n", "c.yaml", config).ok());
  EXPECT_FALSE(config.reflection);
}

TEST(ConfigFileTest, AnEmptyFileKeepsTheDefaults) {
  Config config;
  EXPECT_TRUE(ApplyConfigText("# nothing\n", "c.yaml", config).ok());
}

// ---- Sources and their order

class ConfigSourcesTest : public ::testing::Test {
 protected:
  Result<LoadedConfig> Load(const std::vector<const char*>& flags) {
    std::vector<const char*> arguments = {"forged"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Result<CommandLine> command_line =
        ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
    if (!command_line.ok()) return command_line.status();
    const Environment environment = [this](const char* name) -> const char* {
      const auto found = environment_.find(name);
      return found == environment_.end() ? nullptr : found->second.c_str();
    };
    return LoadConfig(*command_line, environment, default_file_);
  }

  TempDirectory directory_;
  std::string default_file_ = (directory_.path() / "absent.yaml").string();
  std::map<std::string, std::string> environment_;
};

TEST_F(ConfigSourcesTest, TheDefaultFileMayBeMissingButNoNamedOne) {
  const Result<LoadedConfig> loaded = Load({});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->file, "");
  EXPECT_THAT(std::string(Load({"--config", "/nowhere.yaml"}).status().message()),
              HasSubstr("cannot open the configuration file /nowhere.yaml"));
  environment_["FORGE_CONFIG"] = "/nowhere.yaml";
  EXPECT_FALSE(Load({}).ok());
}

TEST_F(ConfigSourcesTest, LaterSourcesWin) {
  default_file_ =
      directory_.WriteFile("d.yaml", "listen: unix:///file.sock\nlog: {level: error}\n");
  EXPECT_EQ(Load({})->config.listen.path, "/file.sock");
  environment_["FORGE_LISTEN"] = "unix:///environment.sock";
  environment_["FORGE_LOG_LEVEL"] = "debug";
  environment_["FORGE_MODEL_DIR"] = "/a:/b";
  environment_["FORGE_METRICS_LISTEN"] = "127.0.0.1:9464";
  EXPECT_EQ(Load({})->config.listen.path, "/environment.sock");
  EXPECT_EQ(Load({})->config.log.level, LogLevel::kDebug);
  EXPECT_EQ(Load({})->config.metrics_listen->ToString(), "127.0.0.1:9464");
  EXPECT_FALSE(Load({"--metrics-listen", "none"})->config.metrics_listen);
  EXPECT_THAT(Load({})->config.model_directories, ElementsAre("/a", "/b"));
  const Result<LoadedConfig> loaded =
      Load({"--listen", "127.0.0.1:7", "--model-dir", "/c", "--model-dir", "relative"});
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->config.listen.ToString(), "127.0.0.1:7");
  EXPECT_THAT(loaded->config.model_directories,
              ElementsAre("/c", (std::filesystem::current_path() / "relative").string()));
}

TEST_F(ConfigSourcesTest, ErrorsNameTheVariableOrFlag) {
  EXPECT_THAT(std::string(Load({"--listen", "8.8.8.8:1"}).status().message()),
              HasSubstr("--listen is '8.8.8.8:1', but must be"));
  environment_["FORGE_LOG_LEVEL"] = "loud";
  EXPECT_THAT(std::string(Load({}).status().message()),
              HasSubstr("$FORGE_LOG_LEVEL is 'loud', but must be error, warning"));
}

TEST_F(ConfigSourcesTest, ContradictionsAreRefusedWithBothKeysAndTheirValues) {
  const struct {
    const char* yaml;
    std::vector<const char*> parts;
  } kCases[] = {
      {"residency: {low_water: 2GiB, high_water: 1536MiB}",
       {"residency.low_water", "2GiB", "residency.high_water", "1536MiB"}},
      {"residency: {low_water: 2GiB}", {"residency.low_water", "2GiB", "high_water is 1GiB"}},
      {"device: {gpu: 'off'}\ndefaults: {device: 'hip:0'}",
       {"defaults.device is hip:0", "device.gpu is off"}},
      {"device: {gpu_hang_limit: 2m}",
       {"device.gpu_hang_limit is 2m", "limits.step_timeout, which is 2m"}},
      {"listen: 127.0.0.1:7\nmetrics_listen: localhost:7",
       {"metrics_listen is 127.0.0.1:7", "so is listen"}},
  };
  for (const auto& test_case : kCases) {
    SCOPED_TRACE(test_case.yaml);
    default_file_ = directory_.WriteFile("d.yaml", test_case.yaml);
    const Status status = Load({}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    for (const char* part : test_case.parts)
      EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
  for (const char* yaml :
       {"residency: {low_water: 1GiB}", "residency: {low_water: 0, high_water: 0}",
        "device: {gpu: 'off', gpu_hang_limit: 1h}\ndefaults: {device: cpu}",
        "listen: 127.0.0.1:0\nmetrics_listen: 127.0.0.1:0"}) {
    default_file_ = directory_.WriteFile("d.yaml", yaml);
    EXPECT_TRUE(Load({}).ok()) << yaml;
  }
}

TEST_F(ConfigSourcesTest, RefusesUnknownFlagsAndKnowsItsActions) {
  const auto parse = [](const char* flag) {
    const char* arguments[] = {"forged", flag};
    return ParseCommandLine(2, arguments);
  };
  EXPECT_EQ(parse("--check-config")->action, CommandLine::Action::kCheckConfig);
  EXPECT_EQ(parse("--print-config")->action, CommandLine::Action::kPrintConfig);
  EXPECT_EQ(parse("--help")->action, CommandLine::Action::kPrintText);
  EXPECT_THAT(parse("--help")->text, HasSubstr("--model-dir"));
  EXPECT_THAT(parse("--version")->text, ::testing::StartsWith("forged "));
  EXPECT_THAT(std::string(parse("--nonsense").status().message()), HasSubstr("--nonsense"));
}

}  // namespace
}  // namespace forge
