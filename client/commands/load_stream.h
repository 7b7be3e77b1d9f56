#pragma once

#include <functional>

#include "client/commands/command.h"

namespace forge::client {

// One LoadModel call: shows a progress bar and waits until the model is ready.
class LoadStream {
 public:
  // Starts the load. Lifetime: the connection must outlive it.
  LoadStream(const Connection& connection, const std::string& model,
             const v1::LoadOptions& options);

  // Blocks to the end; calls `on_event` for whatever comes.
  grpc::Status Wait(const std::function<void(const v1::LoadModelResponse& event)>& on_event);
  // Asks the daemon to stop the load, which is its own and would go on without us; the second time
  // the call is dropped instead. Any thread, one at a time.
  void Cancel();

 private:
  grpc::ClientContext call_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::LoadModelRequest, v1::LoadModelResponse>> stream_;
  int n_cancels_ = 0;
};

}  // namespace forge::client
