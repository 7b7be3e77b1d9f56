#include "client/doctor/runtime_checks.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "client/terminal/units.h"

extern char** environ;

namespace forge::client {
namespace {

constexpr std::chrono::seconds kLimit{30};

// What a program printed and how it ended.
struct Outcome {
  std::string output;
  bool timed_out = false;
  int wait_status = 0;
};

// Reads all that comes until the writer is gone; false if that takes too long.
bool ReadAll(int fd, std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  char buffer[4096];
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting = {fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) == 0) return false;
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n <= 0) return true;
    text.append(buffer, static_cast<size_t>(n));
  }
}

std::optional<Outcome> RunProgram(std::vector<std::string> words) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDERR_FILENO);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int error =
      posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  Outcome outcome;
  if (error == 0) {
    outcome.timed_out = !ReadAll(pipe_ends[0], outcome.output);
    if (outcome.timed_out) kill(child, SIGKILL);
    waitpid(child, &outcome.wait_status, 0);
  }
  close(pipe_ends[0]);
  if (error != 0) return std::nullopt;
  return outcome;
}

std::string LastLine(const std::string& text) {
  const size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

Finding DeviceFinding(const nlohmann::json& device) {
  const std::string self_test = device.at("self_test");
  std::string what = device.at("id").get<std::string>() + ": " +
                     device.at("name").get<std::string>() + ", " +
                     device.at("target").get<std::string>() + ", waves of " +
                     std::to_string(device.at("wave_size").get<int>()) + ", " +
                     (device.at("integrated").get<bool>() ? "integrated" : "with its own memory");
  if (self_test != "ok")
    return {Severity::kProblem, "device", what + "; self-test failed: " + self_test,
            "the kernel's log (journalctl -k) has the driver's side; if the plug-in has no kernels "
            "for this GPU, build it with -DFORGE_ROCM_TARGETS=" +
                device.at("target").get<std::string>()};
  what += "; free " + FormatBytes(device.at("free_bytes").get<uint64_t>()) + " of " +
          FormatBytes(device.at("total_bytes").get<uint64_t>()) + ": " +
          FormatBytes(device.at("runtime_free_bytes").get<uint64_t>()) + " by the runtime, ";
  if (!device.at("has_driver_reading").get<bool>())
    return {Severity::kWarning, "device", what + "no figure by the driver; self-test passed",
            "what other programs hold on this GPU is not seen: leave room with memory.reserve"};
  return {Severity::kOk, "device",
          what + FormatBytes(device.at("driver_free_bytes").get<uint64_t>()) +
              " by the driver; self-test passed",
          ""};
}

}  // namespace

std::string FindForged() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    const std::filesystem::path beside = self.parent_path() / "forged";
    if (access(beside.c_str(), X_OK) == 0) return beside.string();
  }
  return "forged";
}

Findings ReadProbe(const std::string& report) {
  Findings findings;
  try {
    const nlohmann::json found = nlohmann::json::parse(report);
    const std::string plugin = found.at("plugin");
    if (found.contains("runtime"))
      findings.push_back({Severity::kOk, "runtime",
                          found.at("runtime").get<std::string>() + " through " + plugin, ""});
    if (found.contains("error"))
      findings.push_back({Severity::kProblem, "runtime", found.at("error"),
                          "until this is mended, models run on the CPU"});
    for (const nlohmann::json& device : found.at("devices"))
      findings.push_back(DeviceFinding(device));
  } catch (const nlohmann::json::exception&) {
    findings.push_back({Severity::kProblem, "runtime",
                        "forged --probe-gpus did not say what it found, but: " + LastLine(report),
                        "run it by hand"});
  }
  return findings;
}

Findings CheckRuntime(const std::string& forged, const std::string& config) {
  std::vector<std::string> words = {forged, "--probe-gpus"};
  if (!config.empty()) words.insert(words.end(), {"--config", config});
  const std::optional<Outcome> outcome = RunProgram(words);
  if (!outcome || (WIFEXITED(outcome->wait_status) && WEXITSTATUS(outcome->wait_status) == 127))
    return {{Severity::kProblem, "runtime", "cannot run " + forged,
             "install the daemon on this machine, or name it with --forged"}};
  if (outcome->timed_out)
    return {{Severity::kProblem, "runtime", "the GPU runtime did not answer within 30 s",
             "the GPU hangs: look at journalctl -k, and restart the machine if it stays so"}};
  if (WIFSIGNALED(outcome->wait_status))
    return {{Severity::kProblem, "runtime",
             std::string("the GPU runtime ended its process: ") +
                 strsignal(WTERMSIG(outcome->wait_status)) +
                 "; it said: " + LastLine(outcome->output),
             "it does not fit this GPU or driver; look at journalctl -k"}};
  if (WEXITSTATUS(outcome->wait_status) != 0)
    return {{Severity::kProblem, "runtime", LastLine(outcome->output),
             "mend the configuration; forged --check-config says the same"}};
  return ReadProbe(outcome->output);
}

}  // namespace forge::client
