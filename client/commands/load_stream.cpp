#include "client/commands/load_stream.h"

#include "client/commands/load_progress.h"
#include "client/terminal/progress_bar.h"

namespace forge::client {

LoadStream::LoadStream(const Connection& connection, const std::string& model,
                       const v1::LoadOptions& options)
    : stream_(connection.stub().LoadModel(&call_)) {
  v1::LoadModelRequest request;
  request.mutable_start()->set_model(model);
  *request.mutable_start()->mutable_options() = options;
  stream_->Write(request);
}

grpc::Status LoadStream::Wait(
    const std::function<void(const v1::LoadModelResponse& event)>& on_event) {
  ProgressBar bar;
  v1::LoadModelResponse event;
  while (stream_->Read(&event)) {
    if (event.has_progress()) ShowLoadProgress(event.progress(), bar);
    if (event.has_ready()) bar.Clear();
    on_event(event);
  }
  bar.Clear();
  return stream_->Finish();
}

void LoadStream::Cancel() {
  if (++n_cancels_ > 1) return call_.TryCancel();
  v1::LoadModelRequest cancel;
  cancel.mutable_cancel();
  stream_->Write(cancel);
}

}  // namespace forge::client
