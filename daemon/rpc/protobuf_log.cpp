#include "daemon/rpc/protobuf_log.h"

#include <atomic>
#include <string>

namespace forge {
namespace {

// The library takes a plain function, which can know its log only from here.
std::atomic<spdlog::logger*> g_log{nullptr};

// What it calls an error is a message of a client that cannot be parsed, and none of the daemon's.
spdlog::level::level_enum ToSpdlog(google::protobuf::LogLevel level) {
  if (level == google::protobuf::LOGLEVEL_FATAL) return spdlog::level::err;
  return level == google::protobuf::LOGLEVEL_INFO ? spdlog::level::debug : spdlog::level::warn;
}

void Write(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
           const std::string& message) {
  if (spdlog::logger* const log = g_log.load()) log->log(ToSpdlog(level), "protobuf: {}", message);
}

}  // namespace

ProtobufLog::ProtobufLog(spdlog::logger& log)
    : before_((g_log.store(&log), google::protobuf::SetLogHandler(Write))) {}

ProtobufLog::~ProtobufLog() {
  google::protobuf::SetLogHandler(before_);
  g_log.store(nullptr);
}

}  // namespace forge
