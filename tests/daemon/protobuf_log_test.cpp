#include "daemon/rpc/protobuf_log.h"

#include <forge/v1/forge.pb.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>

namespace forge {
namespace {

TEST(ProtobufLogTest, TakesWhatTheLibrarySaysOfMalformedMessages) {
  std::ostringstream lines;
  spdlog::logger log("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines));
  log.set_pattern("%l %v");
  {
    const ProtobufLog protobuf_log(log);
    v1::PinModelRequest request;
    EXPECT_FALSE(request.ParseFromString("\x0a\x02\xff\xfe"));
  }
  EXPECT_THAT(lines.str(), ::testing::StartsWith("warning protobuf: "));
  EXPECT_THAT(lines.str(), ::testing::HasSubstr("UTF-8"));
}

}  // namespace
}  // namespace forge
