#include "client/commands/answer_printer.h"

#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>

#include "client/commands/load_progress.h"
#include "client/terminal/json_output.h"
#include "client/terminal/quote.h"
#include "client/terminal/units.h"
#include "client/usage.h"

namespace forge::client {

namespace {

// Prompts shorter than this are computed before a bar could be read.
constexpr uint32_t kPromptTokensWorthABar = 512;
constexpr char kDim[] = "\033[2m";
constexpr char kNormal[] = "\033[0m";

void PrintUsage(const v1::GenerateResponse::Finished& finished) {
  const v1::Usage& usage = finished.usage();
  std::cerr << "prompt " << usage.prompt_tokens() << " tokens, " << usage.cached_tokens()
            << " from the cache, in " << FormatDuration(usage.prefill_duration()) << " ("
            << FormatRate(ComputedTokens(usage), usage.prefill_duration()) << "), answer "
            << usage.output_tokens() << " tokens in " << FormatDuration(usage.decode_duration())
            << " (" << FormatRate(usage.output_tokens(), usage.decode_duration()) << ')'
            << GuessesText(usage) << ", queued " << FormatDuration(usage.queue_duration())
            << ", seed " << finished.seed() << ", " << v1::FinishReason_Name(finished.reason())
            << '\n';
}

}  // namespace

std::string ToolCallLine(const v1::ToolCall& call) {
  nlohmann::ordered_json line;
  line["id"] = call.id();
  line["name"] = call.name();
  line["arguments"] = nlohmann::ordered_json::parse(call.arguments_json(), nullptr,
                                                    /*allow_exceptions=*/false);
  if (line["arguments"].is_discarded()) line["arguments"] = call.arguments_json();
  return line.dump();
}

AnswerPrinter::AnswerPrinter(bool json, bool verbose)
    : json_(json), verbose_(verbose), is_terminal_(isatty(STDOUT_FILENO) == 1) {}

void AnswerPrinter::Print(const v1::GenerateResponse& event) {
  if (json_) {
    std::cout << ToJson(event) << std::endl;
    return;
  }
  if (event.has_load_progress()) ShowLoadProgress(event.load_progress(), bar_);
  if (event.has_queued())
    bar_.Show("queued", 0.0, "position " + std::to_string(event.queued().position()));
  if (event.has_prompt_progress()) ShowPrompt(event.prompt_progress());
  if (event.has_token()) PrintText(event.token().kind(), event.token().text());
  if (event.has_finished()) PrintEnd(event.finished());
}

void AnswerPrinter::ShowPrompt(const v1::GenerateResponse::PromptProgress& progress) {
  if (progress.tokens_total() < kPromptTokensWorthABar) return;
  bar_.Show("prompt", static_cast<double>(progress.tokens_done()) / progress.tokens_total(),
            std::to_string(progress.tokens_done()) + " of " +
                std::to_string(progress.tokens_total()) + " tokens");
}

void AnswerPrinter::PrintText(v1::TextKind kind, const std::string& text) {
  bar_.Clear();
  const bool is_reasoning = kind == v1::TEXT_KIND_REASONING;
  if (text.empty() || kind == v1::TEXT_KIND_TOOL_CALL || (is_reasoning && !is_terminal_)) return;
  if (is_reasoning_ && !is_reasoning) std::cout << kNormal << "\n\n";
  if (is_reasoning && !is_reasoning_) std::cout << kDim;
  is_reasoning_ = is_reasoning;
  std::cout << (is_terminal_ ? WithoutControls(text) : text) << std::flush;
  at_line_start_ = text.back() == '\n';
}

void AnswerPrinter::PrintEnd(const v1::GenerateResponse::Finished& finished) {
  PrintText(finished.kind(), finished.text());
  if (is_reasoning_) std::cout << kNormal;
  if (!at_line_start_) std::cout << std::endl;
  for (const v1::ToolCall& call : finished.tool_calls())
    std::cout << ToolCallLine(call) << std::endl;
  if (verbose_) PrintUsage(finished);
}

}  // namespace forge::client
