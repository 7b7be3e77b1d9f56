#pragma once

#include <google/protobuf/stubs/logging.h>
#include <spdlog/logger.h>

namespace forge {

// Sends what the protobuf library logs to `log` while it lives. Not thread-safe: there is one at a
// time, and it ends when nothing is parsed any more.
class ProtobufLog {
 public:
  // Lifetime: `log` must outlive it.
  explicit ProtobufLog(spdlog::logger& log);
  ~ProtobufLog();
  ProtobufLog(const ProtobufLog&) = delete;
  ProtobufLog& operator=(const ProtobufLog&) = delete;

 private:
  google::protobuf::LogHandler* const before_;
};

}  // namespace forge
