#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "engine/runtime/engine.h"
#include "engine/runtime/task.h"

namespace forge {

// kInvalidArgument (reason INVALID_REQUEST) naming field and value.
Status ValidateRequest(const ScoreRequest& request, uint32_t n_vocab);
Status ValidateRequest(const EmbedRequest& request, uint32_t n_vocab);
// kOutOfRange (reason CONTEXT_LENGTH_EXCEEDED) if a text of `n_tokens` cannot be read.
Status CheckFits(uint64_t n_tokens, uint32_t n_context);

// The task that computes what `request` asks for. REQUIRES: ValidateRequest is OK.
std::unique_ptr<Task> MakeReading(ScoreRequest request, std::shared_ptr<ScoreSink> sink);
std::unique_ptr<Task> MakeReading(EmbedRequest request, std::shared_ptr<EmbeddingSink> sink);

}  // namespace forge
