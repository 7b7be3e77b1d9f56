#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {

// A Generate stream with its context.
struct OpenStream {
  explicit OpenStream(v1::ForgeService::Stub& stub) : stream(stub.Generate(&context)) {}
  // Reads to the end, whatever comes.
  grpc::Status End() {
    v1::GenerateResponse response;
    while (stream->Read(&response)) continue;
    return stream->Finish();
  }
  grpc::ClientContext context;
  std::unique_ptr<GenerateStreamClient> stream;
};

// A daemon with the model "tiny" resident.
class GenerateTest : public ::testing::Test {
 protected:
  explicit GenerateTest(const std::function<void(Config&)>& configure = {}) : daemon_(configure) {
    daemon_.AddModel("tiny");
    daemon_.LoadModel("tiny");
  }

  // The status of a stream whose only message is `request`.
  grpc::Status StatusOf(const v1::GenerateRequest& request) {
    OpenStream open(*stub_);
    open.stream->Write(request);
    open.stream->WritesDone();
    return open.End();
  }

  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

}  // namespace forge::testing
