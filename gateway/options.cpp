#include "gateway/options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "gateway/access.h"

namespace forge::gateway {

namespace {

constexpr char kFooter[] =
    "Clients take http://127.0.0.1:8080/v1 as the base URL, and any API key unless\n"
    "--api-key-file is given.\n\n"
    "Exit codes: 0 stopped, 1 failed, 2 usage";

// The line as it was given, before it is checked.
struct Line {
  std::string listen = "127.0.0.1:8080";
  std::string daemon;
  std::vector<std::string> origins;
  std::string api_key_file;
  size_t max_connections = 64;
};

void AddOptions(CLI::App& app, Line& line) {
  app.add_option("--listen", line.listen,
                 "Loopback address to serve HTTP on; port 0: any that is free")
      ->capture_default_str();
  app.add_option("--forge", line.daemon, "gRPC address of the daemon (FORGE_ADDRESS)")
      ->capture_default_str();
  app.add_option("--allow-origin", line.origins,
                 "An origin whose web pages may send requests: http://localhost:3000; may be "
                 "given again")
      ->allow_extra_args(false);
  app.add_option("--api-key-file", line.api_key_file,
                 "File of keys, one a line, of which a request must carry one");
  app.add_option("--max-connections", line.max_connections, "Connections at the same time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.footer(kFooter);
}

Status CheckDaemonAddress(const std::string& address) {
  const bool is_valid = address.find(':') != std::string::npos && !address.starts_with('/') &&
                        !address.starts_with("http://") && !address.starts_with("https://");
  if (is_valid) return Status();
  return InvalidArgument("--forge: '" + address +
                         "' is no address as unix:///run/forge/forge.sock or HOST:PORT");
}

Status CheckOrigins(const std::vector<std::string>& origins) {
  const auto wrong = std::ranges::find_if_not(origins, &IsOrigin);
  if (wrong == origins.end()) return Status();
  return InvalidArgument("--allow-origin: '" + *wrong +
                         "' is no origin as http://localhost:3000; '*' is none either: it would "
                         "let every web page use the models");
}

Result<Options> Check(const Line& line) {
  Options options;
  const Result<ListenAddress> listen = ParseListenAddress(line.listen);
  if (!listen.ok()) return listen.status().WithContext("--listen");
  options.listen = *listen;
  FORGE_TRY(CheckDaemonAddress(line.daemon));
  options.daemon_address = line.daemon;
  FORGE_TRY(CheckOrigins(line.origins));
  options.origins = line.origins;
  options.max_connections = line.max_connections;
  if (line.api_key_file.empty()) return options;
  Result<std::vector<std::string>> keys = ReadApiKeys(line.api_key_file);
  if (!keys.ok()) return keys.status().WithContext("--api-key-file");
  options.api_keys = *std::move(keys);
  return options;
}

}  // namespace

Result<Options> ParseOptions(int argc, const char* const* argv,
                             const std::string& default_address) {
  CLI::App app(
      "Serves the models of a forged daemon by the HTTP APIs of OpenAI and Anthropic, on "
      "loopback.",
      "forge-gateway");
  Line line;
  line.daemon = default_address;
  AddOptions(app, line);
  app.set_version_flag("--version", "forge-gateway " FORGE_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    Options options;
    options.text = app.help();
    return options;
  } catch (const CLI::CallForVersion&) {
    Options options;
    options.text = app.version() + "\n";
    return options;
  } catch (const CLI::ParseError& error) {
    return InvalidArgument(std::string(error.what()) + "; see forge-gateway --help");
  }
  return Check(line);
}

}  // namespace forge::gateway
