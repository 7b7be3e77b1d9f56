#include "bench/peer_bench.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

namespace forge {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

bool ReplaceAll(std::string& text, std::string_view name, const std::string& value) {
  bool is_found = false;
  for (size_t at = text.find(name); at != std::string::npos;
       at = text.find(name, at + value.size())) {
    text.replace(at, name.size(), value);
    is_found = true;
  }
  return is_found;
}

// "-p 512,128", or "-p 0" for none: llama-bench measures its defaults where the option is absent.
std::string ListOption(const char* option, const std::vector<uint32_t>& values) {
  std::string text = std::string(" ") + option + " ";
  if (values.empty()) return text + "0";
  for (size_t i = 0; i < values.size(); ++i) text += (i > 0 ? "," : "") + std::to_string(values[i]);
  return text;
}

// What a command wrote to its error output, in a file that goes when it is no longer needed.
class ErrorOutput {
 public:
  ErrorOutput()
      : path_((std::filesystem::temp_directory_path() / "forge-bench-XXXXXX").string()),
        descriptor_(mkstemp(path_.data())) {}
  ~ErrorOutput() {
    if (descriptor_ < 0) return;
    close(descriptor_);
    unlink(path_.c_str());
  }
  ErrorOutput(const ErrorOutput&) = delete;
  ErrorOutput& operator=(const ErrorOutput&) = delete;

  const std::string& path() const { return path_; }
  std::string Tail() const {
    constexpr size_t kTailBytes = 400;
    std::ifstream stream(path_);
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    return text.size() > kTailBytes ? text.substr(text.size() - kTailBytes) : text;
  }

 private:
  std::string path_;
  const int descriptor_;
};

Result<std::string> OutputOf(const std::string& command_line) {
  const ErrorOutput errors;
  const std::string redirected = "{ " + command_line + "\n} 2>" + Quoted(errors.path());
  FILE* const pipe = popen(redirected.c_str(), "re");
  if (pipe == nullptr) return FailedPrecondition("cannot start a shell for: " + command_line);
  std::string output;
  std::array<char, 4096> buffer;
  for (size_t n; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    output.append(buffer.data(), n);
  const int status = pclose(pipe);
  if (status != 0)
    return FailedPrecondition("the peer failed (status " +
                              std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : status) +
                              "): " + command_line + "\n" + errors.Tail());
  return output;
}

std::string CommandOnModel(std::string_view command, std::string_view model_path) {
  const std::filesystem::path path = std::filesystem::absolute(model_path);
  std::string line(command);
  bool names_model = ReplaceAll(line, "{model}", Quoted(path.string()));
  names_model |= ReplaceAll(line, "{dir}", Quoted(path.parent_path().string()));
  names_model |= ReplaceAll(line, "{name}", Quoted(path.filename().string()));
  if (!names_model) line += " -m " + Quoted(path.string());
  return line;
}

PeerResult ReadResult(const nlohmann::json& entry) {
  PeerResult result;
  result.test.n_prompt = entry.at("n_prompt").get<uint32_t>();
  result.test.n_gen = entry.at("n_gen").get<uint32_t>();
  result.test.n_depth = entry.value("n_depth", 0u);  // absent in old versions
  result.tokens_per_second = entry.at("avg_ts").get<double>();
  result.n_threads = entry.at("n_threads").get<int>();
  result.build = "build " + std::to_string(entry.at("build_number").get<int>()) + " (" +
                 entry.at("build_commit").get<std::string>() + ")";
  return result;
}

}  // namespace

Result<std::vector<PeerResult>> ParsePeerResults(std::string_view json) {
  try {
    const nlohmann::json entries = nlohmann::json::parse(json);
    if (!entries.is_array()) return DataLoss("the peer's output is no JSON array");
    std::vector<PeerResult> results;
    for (const nlohmann::json& entry : entries) results.push_back(ReadResult(entry));
    return results;
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(std::string("the peer's output is not what llama-bench -o json prints: ") +
                    error.what());
  }
}

Result<std::vector<PeerResult>> ParseBatchedPeerResults(std::string_view lines) {
  std::vector<PeerResult> results;
  try {
    for (size_t begin = 0; begin < lines.size();) {
      const size_t end = std::min(lines.find('\n', begin), lines.size());
      const std::string_view line = lines.substr(begin, end - begin);
      begin = end + 1;
      if (line.empty()) continue;
      const nlohmann::json entry = nlohmann::json::parse(line);
      PeerResult& result = results.emplace_back();
      result.test = {.n_gen = entry.at("tg").get<uint32_t>(),
                     .n_depth = entry.at("pp").get<uint32_t>(),
                     .n_streams = entry.at("pl").get<uint32_t>()};
      result.tokens_per_second = entry.at("speed_tg").get<double>();
      result.n_threads = entry.at("n_threads").get<int>();
    }
  } catch (const nlohmann::json::exception& error) {
    return DataLoss(std::string("the peer's output is not what llama-batched-bench ") +
                    "--output-format jsonl prints: " + error.what());
  }
  return results;
}

std::string PeerCommandLine(std::string_view command, std::string_view model_path,
                            const std::vector<SpeedTest>& tests, int n_threads,
                            std::string_view extra_options) {
  std::string line = CommandOnModel(command, model_path);
  std::vector<uint32_t> prompts, gens;
  std::string both;
  for (const SpeedTest& test : tests) {
    if (test.n_prompt > 0 && test.n_gen > 0)
      both += " -pg " + std::to_string(test.n_prompt) + "," + std::to_string(test.n_gen);
    else
      (test.n_prompt > 0 ? prompts : gens).push_back(test.n_tokens());
  }
  line += ListOption("-p", prompts) + ListOption("-n", gens) + both;
  if (!tests.empty() && tests[0].n_depth > 0) line += " -d " + std::to_string(tests[0].n_depth);
  line += " -t " + std::to_string(n_threads) + " -r 1 -o json";
  if (!extra_options.empty()) line += " " + std::string(extra_options);
  return line;
}

std::string BatchedPeerCommandLine(std::string_view command, std::string_view model_path,
                                   const std::vector<SpeedTest>& tests, int n_threads) {
  std::vector<uint32_t> streams;
  uint32_t context = 0;
  for (const SpeedTest& test : tests) {
    streams.push_back(test.n_streams);
    context = std::max(context, test.n_streams * (test.n_depth + test.n_gen));
  }
  const std::string line = CommandOnModel(command, model_path) + ListOption("-npl", streams) +
                           " -npp " + std::to_string(tests[0].n_depth) + " -ntg " +
                           std::to_string(tests[0].n_gen) + " -c " + std::to_string(context) +
                           " -t " + std::to_string(n_threads) + " --output-format jsonl -fa ";
  return line + "off && " + line + "on";
}

Result<std::vector<PeerResult>> RunPeer(const std::string& command_line,
                                        const std::vector<SpeedTest>& tests) {
  FORGE_ASSIGN_OR_RETURN(const std::string output, OutputOf(command_line));
  FORGE_ASSIGN_OR_RETURN(
      const std::vector<PeerResult> results,
      tests[0].n_streams > 1 ? ParseBatchedPeerResults(output) : ParsePeerResults(output));
  std::vector<PeerResult> best;
  for (const SpeedTest& test : tests) {
    const PeerResult* fastest = nullptr;
    for (const PeerResult& result : results)
      if (result.test == test &&
          (fastest == nullptr || result.tokens_per_second > fastest->tokens_per_second))
        fastest = &result;
    if (fastest == nullptr || !(fastest->tokens_per_second > 0))
      return DataLoss("the peer printed no speed for " + test.Name() + ": " + command_line);
    best.push_back(*fastest);
  }
  return best;
}

}  // namespace forge
