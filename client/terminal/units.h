#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace forge::client {

// Milliseconds of "500ms", "30s", "5m" or "1h", at most 365 days; nullopt if it is none.
std::optional<int64_t> ParseDuration(std::string_view text);

// "1.5 GiB", "640 MiB", "12 B": three significant digits, binary units.
std::string FormatBytes(int64_t bytes);

// "1.24 s", "18 ms", "350 us".
std::string FormatDuration(const google::protobuf::Duration& duration);
double Seconds(const google::protobuf::Duration& duration);

// "45s", "4m 10s", "2h", "3d 4h": the two largest units, as --keep-alive takes them.
std::string FormatSpan(int64_t seconds);

// "6.7 B", "494 M": counts of parameters, decimal units.
std::string FormatCount(int64_t count);

// "1.2500": `digits` after the point.
std::string FormatFixed(double value, int digits);

// "2026-01-31 17:05" in local time.
std::string FormatTime(const google::protobuf::Timestamp& time);
// "2026-01-31 17:05:09", for what follows each other closely.
std::string FormatTimeToSeconds(const google::protobuf::Timestamp& time);

}  // namespace forge::client
