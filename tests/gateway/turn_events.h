#pragma once

#include <forge/v1/forge.pb.h>

#include <string>

namespace forge::gateway {

// Events of a turn, as the daemon sends them.

inline v1::GenerateResponse Progress(uint32_t n_total, uint32_t n_done = 3) {
  v1::GenerateResponse event;
  event.mutable_prompt_progress()->set_tokens_done(n_done);
  event.mutable_prompt_progress()->set_tokens_total(n_total);
  return event;
}

inline v1::GenerateResponse Queued(uint32_t position) {
  v1::GenerateResponse event;
  event.mutable_queued()->set_position(position);
  return event;
}

inline v1::GenerateResponse LoadProgress(v1::LoadPhase phase, int64_t n_done = 0) {
  v1::GenerateResponse event;
  v1::LoadModelResponse::Progress& progress = *event.mutable_load_progress();
  progress.set_phase(phase);
  progress.set_bytes_done(n_done);
  progress.set_bytes_total(1000);
  return event;
}

inline v1::GenerateResponse Token(const std::string& text,
                                  v1::TextKind kind = v1::TEXT_KIND_CONTENT) {
  v1::GenerateResponse event;
  event.mutable_token()->set_id(7);
  event.mutable_token()->set_text(text);
  event.mutable_token()->set_kind(kind);
  event.mutable_token()->set_logprob(-0.5f);
  return event;
}

// With `text` at the end of the content; of ten tokens of the prompt four were cached.
inline v1::GenerateResponse Finished(v1::FinishReason reason, const std::string& text = {}) {
  v1::GenerateResponse event;
  v1::GenerateResponse::Finished& finished = *event.mutable_finished();
  finished.set_reason(reason);
  finished.set_text(text);
  finished.set_kind(v1::TEXT_KIND_CONTENT);
  v1::Usage& usage = *finished.mutable_usage();
  usage.set_prompt_tokens(10);
  usage.set_cached_tokens(4);
  usage.set_output_tokens(3);
  usage.set_drafted_tokens(5);
  usage.set_accepted_tokens(2);
  return event;
}

inline v1::GenerateResponse FinishedWithCalls() {
  v1::GenerateResponse event = Finished(v1::FINISH_REASON_TOOL_CALLS);
  for (const char* name : {"weather", "time"}) {
    v1::ToolCall& call = *event.mutable_finished()->add_tool_calls();
    call.set_id(std::string("call_") + name);
    call.set_name(name);
    call.set_arguments_json(R"({"at": "here"})");
  }
  return event;
}

}  // namespace forge::gateway
