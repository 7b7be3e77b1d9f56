#include "client/chat/answerer.h"

#include <utility>

#include "client/failure.h"

namespace forge::client {

namespace {

// The text of a tool's call comes whole, with the end.
void Append(v1::TextKind kind, const std::string& text, v1::ChatMessage& message) {
  if (kind == v1::TEXT_KIND_TOOL_CALL) return;
  *(kind == v1::TEXT_KIND_REASONING ? message.mutable_reasoning() : message.mutable_content()) +=
      text;
}

}  // namespace

Answerer::Answer Answerer::Ask(const Conversation& conversation, const OnEvent& on_event) {
  const bool had_stream = stream_ != nullptr;
  bool got_event = false;
  const auto counted = [&](const v1::GenerateResponse& event) {
    got_event = true;
    on_event(event);
  };
  Answer answer = AskOnce(conversation, counted);
  // A stream that ended between two turns, as when the model was loaded anew: once more from the
  // start.
  if (!answer.status.ok() && had_stream && !got_event && n_cancels_ == 0)
    answer = AskOnce(conversation, counted);
  return answer;
}

Answerer::Answer Answerer::AskOnce(const Conversation& conversation, const OnEvent& on_event) {
  v1::GenerateRequest request;
  v1::GenerateRequest::Turn& turn = *request.mutable_turn();
  turn = conversation.turn();
  turn.set_model(model_);
  {
    const std::lock_guard lock(mutex_);
    if (stream_ == nullptr) {
      *turn.mutable_chat() = conversation.Messages();
      Open();
    } else {
      *turn.mutable_chat()->add_messages() = conversation.last();
    }
    n_cancels_ = 0;
    is_asking_ = is_writing_ = true;
  }
  stream_->Write(request);  // a failure shows when reading
  {
    const std::lock_guard lock(mutex_);
    is_writing_ = false;
  }
  Answer answer;
  answer.message.set_role("assistant");
  v1::GenerateResponse event;
  bool is_finished = false;
  while (!is_finished && stream_->Read(&event)) {
    on_event(event);
    if (event.has_token()) Append(event.token().kind(), event.token().text(), answer.message);
    if (!event.has_finished()) continue;
    is_finished = true;
    Append(event.finished().kind(), event.finished().text(), answer.message);
    *answer.message.mutable_tool_calls() = event.finished().tool_calls();
    answer.finished = event.finished();
  }
  std::unique_ptr<Stream> ended;
  {
    const std::lock_guard lock(mutex_);
    is_asking_ = false;
    if (!is_finished) ended = std::move(stream_);
  }
  if (ended != nullptr) answer.status = ended->Finish();
  if (ended != nullptr && answer.status.ok()) answer.status = EndedWithoutAnswer();
  return answer;
}

void Answerer::Open() {
  call_ = std::make_unique<grpc::ClientContext>();
  stream_ = connection_.stub().Generate(call_.get());
}

void Answerer::Restart() {
  std::unique_ptr<Stream> ended;
  {
    const std::lock_guard lock(mutex_);
    ended = std::move(stream_);
  }
  if (ended == nullptr) return;
  ended->WritesDone();
  call_->TryCancel();  // nothing runs; this spares the wait
  ended->Finish();
}

void Answerer::Cancel() {
  const std::lock_guard lock(mutex_);
  if (!is_asking_) return;
  // gRPC takes one write at a time.
  if (++n_cancels_ > 1 || is_writing_) return call_->TryCancel();
  v1::GenerateRequest request;
  request.mutable_cancel();
  stream_->Write(request);
}

}  // namespace forge::client
