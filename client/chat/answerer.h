#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "client/chat/conversation.h"
#include "client/connection.h"

namespace forge::client {

// Asks a model for the next message of a conversation. Keeps one stream open while the conversation
// only grows, so that the daemon computes each message once.
//
// Not thread-safe, Cancel aside. Lifetime: the connection must outlive it.
class Answerer {
 public:
  using Stream = grpc::ClientReaderWriter<v1::GenerateRequest, v1::GenerateResponse>;
  using OnEvent = std::function<void(const v1::GenerateResponse& event)>;

  struct Answer {
    grpc::Status status;
    v1::ChatMessage message;                  // of the assistant; whole, or what came of it
    v1::GenerateResponse::Finished finished;  // where the status is OK
  };

  Answerer(const Connection& connection, std::string model)
      : connection_(connection), model_(std::move(model)) {}
  ~Answerer() { Restart(); }
  Answerer(const Answerer&) = delete;
  Answerer& operator=(const Answerer&) = delete;

  // Answers the conversation's last message. Blocks; calls `on_event` for whatever comes.
  Answer Ask(const Conversation& conversation, const OnEvent& on_event);
  // The conversation is not the one of before: the next question is asked with all of it.
  void Restart();
  // Ends the running answer; if that does not help, the stream. Any thread.
  void Cancel();

 private:
  Answer AskOnce(const Conversation& conversation, const OnEvent& on_event);
  void Open();

  const Connection& connection_;
  const std::string model_;

  std::mutex mutex_;  // guards the stream's writing side, and those below
  std::unique_ptr<grpc::ClientContext> call_;
  std::unique_ptr<Stream> stream_;
  int n_cancels_ = 0;
  bool is_asking_ = false;
  bool is_writing_ = false;  // the turn is being sent
};

}  // namespace forge::client
