#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

#include "client/terminal/progress_bar.h"

namespace forge::client {

// Shows the events of a turn as they come.
//
// With `json` each as one line of JSON. Otherwise the content goes to standard output as it is;
// what the model thinks is shown before it, dimmed, if that is a terminal, and left out of files
// and pipes; calls of tools follow as one line of JSON each.
class AnswerPrinter {
 public:
  AnswerPrinter(bool json, bool verbose);

  void Print(const v1::GenerateResponse& event);

 private:
  void ShowPrompt(const v1::GenerateResponse::PromptProgress& progress);
  void PrintText(v1::TextKind kind, const std::string& text);
  void PrintEnd(const v1::GenerateResponse::Finished& finished);

  const bool json_;
  const bool verbose_;
  const bool is_terminal_;  // standard output is
  bool at_line_start_ = false;
  bool is_reasoning_ = false;  // the last text shown was
  ProgressBar bar_;
};

// A call as a line of JSON: {"id": ..., "name": ..., "arguments": {...}}.
std::string ToolCallLine(const v1::ToolCall& call);

}  // namespace forge::client
