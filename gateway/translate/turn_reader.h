#pragma once

#include <forge/v1/forge.pb.h>

#include <cstdint>
#include <optional>
#include <string>

#include "gateway/translate/forced_call.h"

namespace forge::gateway {

// Reads what the events of a turn in a chat say: texts, which come as they are written, and calls
// of tools, which come with the end. Not thread-safe.
class TurnReader {
 public:
  // `forced_call`: what the content is then, which is held back until it is whole. `one_tool_call`:
  // of several calls the first counts.
  TurnReader(std::optional<ForcedCall> forced_call, bool one_tool_call);

  // A text of the answer; empty: none.
  struct Text {
    bool is_thought = false;
    std::string text;
  };
  Text Take(const v1::GenerateResponse& event);

  // After `finished` was taken; its text was given by Take.
  const v1::GenerateResponse::Finished& finished() const { return finished_; }
  uint32_t n_reasoning() const { return n_reasoning_; }  // tokens of the answer that are thoughts

 private:
  Text TakeToken(const v1::GenerateResponse::Token& token);
  Text TakeFinished(const v1::GenerateResponse::Finished& finished);

  const std::optional<ForcedCall> forced_call_;
  const bool one_tool_call_;
  std::string held_;  // the content so far, of a call that is forced
  uint32_t n_reasoning_ = 0;
  v1::GenerateResponse::Finished finished_;
};

}  // namespace forge::gateway
