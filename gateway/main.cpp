#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>

#include "client/connection.h"
#include "gateway/gateway.h"
#include "gateway/http/server.h"
#include "gateway/options.h"

namespace forge::gateway {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

int Fail(const Status& status, int exit_code) {
  std::fprintf(stderr, "forge-gateway: %s\n", std::string(status.message()).c_str());
  return exit_code;
}

// Blocks the signals that stop the program, in this thread and those it starts.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Run(int argc, const char* const* argv) {
  const Result<Options> options = ParseOptions(argc, argv, client::DefaultAddress());
  if (!options.ok()) return Fail(options.status(), kExitUsage);
  if (!options->text.empty()) {
    std::fputs(options->text.c_str(), stdout);
    return EXIT_SUCCESS;
  }
  std::signal(SIGPIPE, SIG_IGN);  // a client that leaves is an error of the write to it
  const sigset_t stop_signals = BlockStopSignals();
  Gateway gateway(Access(options->origins, options->api_keys), options->daemon_address);
  HttpServer::Options server_options;
  server_options.max_connections = options->max_connections;
  const Result<std::unique_ptr<HttpServer>> server =
      HttpServer::Create(options->listen, server_options, gateway);
  if (!server.ok()) return Fail(server.status(), kExitFailure);
  std::fprintf(stderr, "forge-gateway: serves http://%s/v1 for the daemon at %s\n",
               (*server)->address().ToString().c_str(), options->daemon_address.c_str());
  int signal = 0;
  sigwait(&stop_signals, &signal);
  (*server)->Stop();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace forge::gateway

int main(int argc, char** argv) {
  try {
    return forge::gateway::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forge-gateway: %s\n", error.what());
    return forge::gateway::kExitFailure;
  }
}
